// Belay's own behaviour beside htmx: theme, copy, keys, live rows. No inline code anywhere.
(() => {
  const doc = document, root = doc.documentElement;
  const all = (sel, el = doc) => [...el.querySelectorAll(sel)];
  const say = (text) => { const live = doc.getElementById('live'); if (live) live.textContent = text; };

  // The server writes data-theme from the cookie, so that nothing flashes.
  doc.addEventListener('change', (e) => {
    if (e.target.name !== 'theme') return;
    const t = e.target.value, fixed = t === 'light' || t === 'dark';
    if (fixed) root.dataset.theme = t; else delete root.dataset.theme;
    doc.cookie = `belay_theme=${fixed ? t : ''}; Path=/ui; SameSite=Strict; Max-Age=${fixed ? 31536000 : 0}`;
  });

  const select = (tab) => {
    all('[role=tab]', tab.closest('[role=tablist]')).forEach((t) => {
      const on = t === tab;
      t.setAttribute('aria-selected', on);
      t.tabIndex = on ? 0 : -1;
      doc.getElementById(t.getAttribute('aria-controls')).hidden = !on;
    });
  };
  doc.addEventListener('keydown', (e) => {
    const tab = e.target.closest('[role=tab]');
    if (tab) {
      const tabs = all('[role=tab]', tab.closest('[role=tablist]')), i = tabs.indexOf(tab);
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: tabs.length - 1 }[e.key];
      if (to !== undefined) { const t = tabs.at(to % tabs.length); select(t); t.focus(); e.preventDefault(); }
    }
    if (e.key === '/' && !e.target.closest('input,textarea,select')) {
      const s = doc.querySelector('[type=search]');
      if (s) { s.focus(); e.preventDefault(); }
    }
  });

  doc.addEventListener('click', async (e) => {
    if (e.target.closest('[role=tab]')) select(e.target.closest('[role=tab]'));
    const copy = e.target.closest('[data-copy]');
    if (!copy) return;
    const code = all('code', copy.closest('.code')).find((c) => c.offsetParent);
    try { await navigator.clipboard.writeText(code.textContent); } catch { say('The browser did not allow to copy'); return; }
    copy.classList.add('done'); say('Copied');
    setTimeout(() => copy.classList.remove('done'), 1600);
  });

  // Outcomes are said once, after what they belong to was swapped in.
  doc.addEventListener('htmx:afterSettle', (e) => {
    const told = e.target.closest?.('[data-say]') || e.target.querySelector?.('[data-say]');
    if (told) say(told.dataset.say);
  });

  // Live parts: the server sends whole elements, which replace those with their id. One that holds the focus waits.
  const waiting = new Map();
  const put = (id, html) => {
    const old = doc.getElementById(id);
    if (!old) return;
    if (old.contains(doc.activeElement)) { waiting.set(id, html); return; }
    const t = doc.createElement('template');
    t.innerHTML = html;
    const told = t.content.querySelector('[data-say]')?.dataset.say;
    if (told && told !== old.querySelector('[data-say]')?.dataset.say) say(told);
    old.replaceWith(t.content);
  };
  doc.addEventListener('focusout', () => setTimeout(() => {
    const rows = [...waiting]; waiting.clear();
    rows.forEach(([id, html]) => put(id, html));
  }));
  let stream, from, late;
  const follow = () => {
    const to = doc.querySelector('[data-stream]')?.dataset.stream, paused = doc.getElementById('paused');
    if (to === from || !window.EventSource) return;
    stream?.close(); from = to;
    if (!to) return;
    stream = new EventSource(to);
    const on = (name, does) => stream.addEventListener(name, does);
    on('open', () => { clearTimeout(late); late = undefined; if (paused) paused.hidden = true; });
    on('error', () => {
      if (!paused) return;
      const last = new Date().toTimeString().slice(0, 8);
      late ??= setTimeout(() => { paused.querySelector('[data-last]').textContent = last; paused.hidden = false; }, 5000);
    });
    on('row', (e) => { const r = JSON.parse(e.data); put(r.id, r.html); });
    on('list', (e) => {
      const more = doc.getElementById('changed');
      more.textContent = JSON.parse(e.data).text; more.hidden = !more.textContent;
    });
  };
  doc.addEventListener('htmx:afterSettle', follow);
  follow();
})();
