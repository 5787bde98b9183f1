package agent

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/belay-dev/belay/internal/secret"
)

// Proxy is how calls leave the machine. Its zero value is directly.
type Proxy struct {
	https, http *hop
	except      []string
}

// hop is one proxy. Its password is apart from the address, so that neither print shows it.
type hop struct {
	address  *url.URL // without user
	user     string
	password secret.Value
}

// proxy reads PROXY_HOST and its companions, else the variables that every program knows (HTTPS_PROXY and so on).
func (e *env) proxy(manager *url.URL) Proxy {
	p := Proxy{except: list(e.either("NO_PROXY"))}
	if e.text("PROXY_HOST") != "" {
		p.https = e.ownProxy()
		p.http = p.https
	} else {
		p.https, p.http = e.commonProxy("HTTPS_PROXY"), e.commonProxy("HTTP_PROXY")
	}
	if p.https == nil && p.http == nil {
		return Proxy{}
	}
	if host := e.text("KUBERNETES_SERVICE_HOST"); host != "" {
		p.except = append(p.except, host)
	}
	if text := e.text("PROXY_MANAGER"); text != "" && !e.yes("PROXY_MANAGER") && manager != nil {
		p.except = append(p.except, manager.Hostname())
	}
	return p
}

func (e *env) ownProxy() *hop {
	host, scheme := e.text("PROXY_HOST"), strings.ToLower(e.text("PROXY_SCHEME"))
	if before, after, ok := strings.Cut(host, "://"); ok {
		host = after
		if scheme == "" {
			scheme = strings.ToLower(before)
		}
	}
	host = strings.TrimRight(host, "/")
	if scheme == "" {
		scheme = "http"
	}
	if scheme != "http" && scheme != "https" && scheme != "socks5" {
		e.problems.Add("PROXY_SCHEME", fmt.Sprintf("is %q; it must be http, https or socks5", scheme))
	}
	if port := e.number("PROXY_PORT", 1, 65535, 0); port != 0 {
		host = net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(port))
	} else if e.text("PROXY_PORT") == "" {
		if _, _, err := net.SplitHostPort(host); err != nil {
			e.problems.Add("PROXY_PORT", "is required, since PROXY_HOST is set")
		}
	}
	if strings.ContainsAny(host, "@/ ") {
		e.problems.Add("PROXY_HOST", "must be a host name or an address; PROXY_USER and PROXY_PASSWORD take the rest")
		host = ""
	}
	return &hop{
		address: &url.URL{Scheme: scheme, Host: host}, user: e.text("PROXY_USER"), password: secret.NewValue(e.lookup("PROXY_PASSWORD")),
	}
}

func (e *env) commonProxy(name string) *hop {
	text := e.either(name)
	if text == "" {
		return nil
	}
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" { // the cause would quote the password
		e.problems.Add(name, "is not the address of a proxy; one looks like http://proxy.example.com:3128")
		return nil
	}
	h := &hop{address: &url.URL{Scheme: u.Scheme, Host: u.Host}}
	if u.User != nil {
		password, _ := u.User.Password()
		h.user, h.password = u.User.Username(), secret.NewValue(password)
	}
	return h
}

// either is a variable in capitals or in small letters.
func (e *env) either(name string) string {
	if text := e.text(name); text != "" {
		return text
	}
	return e.text(strings.ToLower(name))
}

// url is the address with what the proxy wants to know of the caller.
func (h *hop) url() *url.URL {
	if h == nil {
		return nil
	}
	u := *h.address
	switch {
	case h.user != "" && !h.password.IsZero():
		u.User = url.UserPassword(h.user, h.password.Reveal()) //nolint:forbidigo // the proxy must be told
	case h.user != "":
		u.User = url.User(h.user)
	}
	return &u
}

// For gives the proxy of a request, nil when it goes directly. It fits http.Transport.Proxy and awsops.Sessions.Proxy.
func (p Proxy) For(r *http.Request) (*url.URL, error) {
	h := p.https
	if r.URL.Scheme == "http" {
		h = p.http
	}
	if h == nil || p.direct(r.URL.Hostname(), r.URL.Port()) {
		return nil, nil //nolint:nilnil // as http.Transport wants it
	}
	return h.url(), nil
}

// direct reports whether a host is reached without the proxy: the machine itself, and what NO_PROXY names by name, by the
// end of a name, by address, by network (10.0.0.0/8), any of them with a port, or by an asterisk.
func (p Proxy) direct(host, port string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if loopback(host) {
		return true
	}
	ip, ipErr := netip.ParseAddr(host)
	for _, one := range p.except {
		one = strings.ToLower(one)
		if one == "*" {
			return true
		}
		if network, err := netip.ParsePrefix(one); err == nil {
			if ipErr == nil && network.Contains(ip.Unmap()) {
				return true
			}
			continue
		}
		if name, only, err := net.SplitHostPort(one); err == nil {
			if only != port {
				continue
			}
			one = name
		}
		if other, err := netip.ParseAddr(strings.Trim(one, "[]")); err == nil {
			if ipErr == nil && other.Unmap() == ip.Unmap() {
				return true
			}
			continue
		}
		one = strings.TrimPrefix(strings.TrimPrefix(one, "*"), ".")
		if one != "" && (host == one || strings.HasSuffix(host, "."+one)) {
			return true
		}
	}
	return false
}

// AWSEnv is the environment for what calls AWS on this delegate: lookup, with the proxy that the delegate itself uses in
// the variables that AWS's tools know. The values hold the proxy's password.
func (c Config) AWSEnv(lookup func(name string) string) func(name string) string {
	proxies := c.Proxy.variables()
	return func(name string) string {
		if text, ok := proxies[strings.ToUpper(name)]; ok {
			return text
		}
		return lookup(name)
	}
}

// variables are HTTPS_PROXY, HTTP_PROXY and NO_PROXY as they take effect; none without a proxy.
func (p Proxy) variables() map[string]string {
	if p.https == nil && p.http == nil {
		return nil
	}
	all := map[string]string{"NO_PROXY": strings.Join(p.except, ",")}
	if u := p.https.url(); u != nil {
		all["HTTPS_PROXY"] = u.String()
	}
	if u := p.http.url(); u != nil {
		all["HTTP_PROXY"] = u.String()
	}
	return all
}
