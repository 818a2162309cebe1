package head

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gray-runtime/gray/internal/pki"
)

const (
	missingToken = "Unauthorized: Missing authentication token\n" +
		"gray start --head printed the token; it's also in ~/.gray/token on the head's host. Send it as \"Authorization: Bearer TOKEN\".\n" +
		"In a browser, open the link that `gray dashboard` prints.\n"
	invalidToken = "Forbidden: Invalid authentication token\n"
	foreignHost  = "Forbidden: this port answers to localhost only, by that name or an address, " +
		"and to the names of gray start --http-allowed-host\n"
	foreignSite = "Forbidden: requests from web pages of other sites aren't allowed\n"
	readsOnly   = "Forbidden: a browser's session only reads, and no secrets: this needs the token\n"
)

// screen turns away what a web page could have made a browser send: on plain HTTP a
// name that was rebound to this address, and anywhere another site's page.
func (h *Head) screen(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Also of a body that is announced and never read. What takes long puts it off.
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(requestLimit))
		for name, value := range shielded {
			w.Header().Set(name, value)
		}
		switch {
		case r.TLS == nil && !localName(r.Host) && !h.allows(r.Host):
			writeText(w, http.StatusForbidden, foreignHost)
		case !h.sameSite(r):
			writeText(w, http.StatusForbidden, foreignSite)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// guard lets in those who have the token, and browsers that are signed in to read.
func (h *Head) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, given := bearer(r)
		_, signedIn := h.session(r)
		switch {
		case h.Token() == "": // what it is isn't known yet
			writeError(w, asStatus(ErrNoLeader))
		case given && !h.Token().Equal(token):
			writeText(w, http.StatusForbidden, invalidToken)
		case !given && !signedIn:
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeText(w, http.StatusUnauthorized, missingToken)
		case !given && !forSession(r):
			writeText(w, http.StatusForbidden, readsOnly)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// hostName is host without its port.
func hostName(host string) string {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	return name
}

// localName reports whether host, with or without a port, is an address or localhost.
func localName(host string) bool {
	name := hostName(host)
	return strings.EqualFold(name, "localhost") || net.ParseIP(name) != nil
}

// allows reports whether host is a name that the head was told to answer to.
func (h *Head) allows(host string) bool {
	name := hostName(host)
	return slices.ContainsFunc(h.cfg.AllowedHosts, func(a string) bool { return strings.EqualFold(a, name) })
}

func (h *Head) sameSite(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && (strings.EqualFold(u.Host, r.Host) || h.allows(u.Host)) // a proxy may have put its own Host
}

// bearer finds the token, as Ray's tools send it.
func bearer(r *http.Request) (pki.Token, bool) {
	for _, name := range []string{"Authorization", "X-Ray-Authorization"} {
		kind, text, ok := strings.Cut(strings.TrimSpace(r.Header.Get(name)), " ")
		if ok && strings.EqualFold(kind, "Bearer") && strings.TrimSpace(text) != "" {
			return pki.Token(strings.TrimSpace(text)), true
		}
	}
	return "", false
}
