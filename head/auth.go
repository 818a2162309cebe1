package head

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gray-runtime/gray/internal/pki"
)

const (
	missingToken = "Unauthorized: Missing authentication token\n" +
		"gray start --head printed the token; it's also in ~/.gray/token on the head's host. Send it as \"Authorization: Bearer TOKEN\".\n"
	invalidToken = "Forbidden: Invalid authentication token\n"
	foreignHost  = "Forbidden: this port answers to localhost only, by that name or an address\n"
	foreignSite  = "Forbidden: requests from web pages of other sites aren't allowed\n"
)

// guard lets in those who have the token. On plain HTTP it also turns away what
// a web page could have made a browser send: a name that was rebound to this
// address, or another site's page.
func (h *Head) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Also of a body that is announced and never read. What takes long puts it off.
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(requestLimit))
		switch {
		case r.TLS == nil && !localName(r.Host):
			writeText(w, http.StatusForbidden, foreignHost)
			return
		case !sameSite(r):
			writeText(w, http.StatusForbidden, foreignSite)
			return
		}
		token, given := bearer(r)
		switch {
		case h.Token() == "": // what it is isn't known yet
			writeError(w, asStatus(ErrNoLeader))
		case !given:
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeText(w, http.StatusUnauthorized, missingToken)
		case !h.Token().Equal(token):
			writeText(w, http.StatusForbidden, invalidToken)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// localName reports whether host, with or without a port, is an address or localhost.
func localName(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	return strings.EqualFold(name, "localhost") || net.ParseIP(name) != nil
}

func sameSite(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
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
