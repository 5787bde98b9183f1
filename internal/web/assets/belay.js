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

  // Menus close when one presses Escape, or goes elsewhere.
  const menus = () => all('details.menu[open]');

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
    if (e.key === 'Escape') menus().forEach((m) => { m.open = false; m.firstElementChild.focus(); });
  });

  doc.addEventListener('click', async (e) => {
    menus().forEach((m) => { if (!m.contains(e.target)) m.open = false; });
    const tab = e.target.closest('[role=tab]'), copy = e.target.closest('[data-copy]');
    if (tab) select(tab);
    if (!copy) return;
    const code = all('code', copy.closest('.code')).find((c) => c.offsetParent);
    try { await navigator.clipboard.writeText(code.textContent); } catch { say('The browser did not allow to copy'); return; }
    copy.classList.add('done'); say('Copied');
    setTimeout(() => copy.classList.remove('done'), 1600);
  });

  // Live parts: the server sends whole elements, which replace those with their id. One that somebody is busy with waits.
  const waiting = new Map();
  const busy = (el) => {
    const s = getSelection();
    return el.contains(doc.activeElement) || el.querySelector('details.menu[open]') || (!s.isCollapsed && s.containsNode(el, true));
  };
  const put = (id, html) => {
    const old = doc.getElementById(id);
    if (!old) return;
    if (busy(old)) { waiting.set(id, html); return; }
    const t = doc.createElement('template');
    t.innerHTML = html;
    const el = t.content.firstElementChild;
    // What one has opened, or chosen, stays so.
    const open = all('details', old).map((d) => d.open), tabs = all('[aria-selected=true]', old).map((d) => d.id);
    old.replaceWith(el);
    all('details', el).forEach((d, i) => { d.open = !!open[i]; });
    tabs.forEach((name) => { const tab = doc.getElementById(name); if (tab && el.contains(tab)) select(tab); });
    window.htmx?.process(el);
    if (el.dataset.say && el.dataset.say !== old.dataset.say) say(el.dataset.say);
  };
  ['focusout', 'toggle', 'selectionchange'].forEach((name) => doc.addEventListener(name, () => setTimeout(() => {
    const parts = [...waiting]; waiting.clear();
    parts.forEach(([id, html]) => put(id, html));
  }), true));

  // A page that is not seen needs no stream: browsers open few at once. One that can go on where it was does so when it is seen.
  let stream, from, late, again, heard, last;
  const calm = () => { clearTimeout(late); late = undefined; };
  const listen = () => {
    const to = doc.querySelector('[data-stream]')?.dataset.stream, rests = doc.hidden && to?.includes('after=');
    if (to === from && !rests || !window.EventSource) return;
    stream?.close(); calm(); clearTimeout(again); from = rests ? undefined : to;
    if (!from) return;
    const paused = doc.getElementById('paused');
    stream = new EventSource(last?.of === to ? to.replace(/after=\d+/, `after=${last.id}`) : to);
    const mark = (e) => { if (e.lastEventId) last = { of: to, id: e.lastEventId }; };
    stream.addEventListener('open', () => { calm(); heard = new Date(); paused.hidden = true; });
    stream.addEventListener('error', () => {
      // A browser gives up where it is answered with an error, as by a proxy whose manager starts anew.
      if (stream.readyState === 2) again = setTimeout(() => { from = undefined; listen(); }, 10000);
      late ??= setTimeout(() => {
        const at = paused.querySelector('[data-last]');
        if (at && heard) at.textContent = `, last at ${heard.toLocaleTimeString()}`;
        paused.hidden = false;
      }, 5000);
    });
    stream.addEventListener('row', (e) => { heard = new Date(); mark(e); const r = JSON.parse(e.data); put(r.id, r.html); });
    stream.addEventListener('list', (e) => {
      mark(e);
      const changed = doc.getElementById('changed');
      if (!changed) return;
      if (e.data > 0) changed.textContent = `${e.data} changed, show`;
      changed.hidden = e.data === '0';
    });
  };
  listen();
  // Outcomes are said once, after what they belong to was swapped in; what was swapped in may have another stream.
  doc.addEventListener('htmx:afterSettle', (e) => {
    const told = e.target.closest?.('[data-say]') || e.target.querySelector?.('[data-say]');
    if (told) say(told.dataset.say);
    listen();
  });
  doc.addEventListener('visibilitychange', listen);
})();
