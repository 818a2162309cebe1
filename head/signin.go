package head

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"sync"
	"time"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/pki"
)

// A browser is signed in by a link with a code, which the leader makes for who has the
// token and which works once. What it gets for it is a cookie that says until when it is
// signed in, with a MAC: any head knows it to be a head's, and none has to remember it.
const (
	codeLife    = 5 * time.Minute
	maxCodes    = 64
	sessionLife = 12 * time.Hour
	// renewAfter is how old a session is when the page's next visit makes it a new one.
	renewAfter = time.Hour

	usedCode = "This link was used already, or is over 5 minutes old: `gray dashboard` prints a new one.\n"
)

// signInCodes are those that nobody has used yet.
type signInCodes struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// issue makes a code. Of too many the one that ends first goes.
func (c *signInCodes) issue(now time.Time) (code string, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until == nil {
		c.until = map[string]time.Time{}
	}
	if len(c.until) >= maxCodes {
		first := ""
		for code, t := range c.until {
			if first == "" || t.Before(c.until[first]) {
				first = code
			}
		}
		delete(c.until, first)
	}
	code, until = rand.Text(), now.Add(codeLife)
	c.until[code] = until
	return code, until
}

// take uses a code up.
func (c *signInCodes) take(code string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	until, ok := c.until[code]
	delete(c.until, code)
	return ok && now.Before(until)
}

// postSignInCode makes a code for who has the token.
func (h *Head) postSignInCode(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	code, until := h.codes.issue(time.Now())
	writeJSON(w, http.StatusOK, api.SignInCode{Code: code, ExpiresTimeMs: until.UnixMilli(), HTTPAddress: h.HTTPAddress()})
}

// getSignIn takes a code for a session. Who is signed in already gets on with a used one.
func (h *Head) getSignIn(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	_, signedIn := h.session(r)
	if r.Method != http.MethodGet || !h.codes.take(r.URL.Query().Get("code"), time.Now()) && !signedIn {
		writeText(w, http.StatusForbidden, usedCode)
		return
	}
	h.signIn(w, r)
	w.Header().Set("Location", "./") // relative to where the browser found this, below any proxy's path
	w.WriteHeader(http.StatusSeeOther)
}

// getSession says until when the browser is signed in, and puts that off.
func (h *Head) getSession(w http.ResponseWriter, r *http.Request) {
	until, ok := h.session(r)
	if !ok {
		writeText(w, http.StatusUnauthorized, missingToken)
		return
	}
	writeJSON(w, http.StatusOK, api.Session{ExpiresTimeMs: h.renew(w, r, until).UnixMilli()})
}

// postSignOut has the browser forget its session.
func (h *Head) postSignOut(w http.ResponseWriter, r *http.Request) {
	c := h.cookie(r, "")
	c.MaxAge = -1
	http.SetCookie(w, c)
	w.WriteHeader(http.StatusNoContent)
}

// renewing puts the end of a session off when the page is loaded.
func (h *Head) renewing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if until, ok := h.session(r); ok {
			h.renew(w, r, until)
		}
		next.ServeHTTP(w, r)
	})
}

// renew returns until when the session goes on. It's for paths beside index.html only,
// which the cookie's own path follows from.
func (h *Head) renew(w http.ResponseWriter, r *http.Request, until time.Time) time.Time {
	if time.Until(until) > sessionLife-renewAfter {
		return until
	}
	return h.signIn(w, r)
}

func (h *Head) signIn(w http.ResponseWriter, r *http.Request) time.Time {
	until := time.Now().Add(sessionLife)
	c := h.cookie(r, seal(h.Token(), until))
	c.MaxAge = int(sessionLife.Seconds())
	http.SetCookie(w, c)
	return until
}

// cookie is a session's, named for the cluster, since those of all ports of a host are
// one jar. It has no path: browsers take that of the page, which a proxy may have moved.
func (h *Head) cookie(r *http.Request, value string) *http.Cookie {
	return &http.Cookie{
		Name: h.cookieName(), Value: value, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: scheme(r) == "https",
	}
}

func (h *Head) cookieName() string { return "gray-" + h.ClusterID().String() }

// scheme is how the browser speaks, as far as a proxy or the head that passed the request on tells.
func scheme(r *http.Request) string {
	switch proto := r.Header.Get("X-Forwarded-Proto"); {
	case proto == "https", proto == "" && r.TLS != nil:
		return "https"
	}
	return "http"
}

// session returns until when who asks is signed in.
func (h *Head) session(r *http.Request) (time.Time, bool) {
	token := h.Token()
	c, err := r.Cookie(h.cookieName())
	if err != nil || token == "" {
		return time.Time{}, false
	}
	until, ok := unseal(token, c.Value)
	return until, ok && time.Now().Before(until)
}

// secrets are what a session may not read.
var secrets = map[string]bool{"/api/heads/backup": true}

// forSession reports whether a session is enough for a request: one of the page itself
// (pages of other ports of this host are of the same site) that changes nothing.
func forSession(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return (r.Method == http.MethodGet || r.Method == http.MethodHead) && !secrets[r.URL.Path]
	}
	return false
}

// seal makes a session's value: when it ends, in seconds of Unix time, and a MAC of
// that by a key that whoever has the token can derive.
func seal(token pki.Token, until time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(until.Unix()))
	return base64.RawURLEncoding.EncodeToString(append(b, sessionMAC(token, b)...))
}

// unseal returns when a session ends, if its value is one that seal made.
func unseal(token pki.Token, value string) (time.Time, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(b) != 8+sha256.Size || !hmac.Equal(b[8:], sessionMAC(token, b[:8])) {
		return time.Time{}, false
	}
	return time.Unix(int64(binary.BigEndian.Uint64(b)), 0), true
}

func sessionMAC(token pki.Token, b []byte) []byte {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte("gray dashboard session\x00"))
	mac.Write(b)
	return mac.Sum(nil)
}
