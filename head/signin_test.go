package head

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/pki"
)

func TestACodeWorksOnceAndNotForLong(t *testing.T) {
	var c signInCodes
	now := time.Now()
	one, until := c.issue(now)
	if c.take("", now) || !c.take(one, until.Add(-1)) || c.take(one, now) {
		t.Error("a code has to work exactly once")
	}
	if old, until := c.issue(now); c.take(old, until) {
		t.Error("an old code works")
	}
}

func TestCodesAreBounded(t *testing.T) {
	var c signInCodes
	now := time.Now()
	first, _ := c.issue(now)
	var last string
	for i := range 2 * maxCodes {
		last, _ = c.issue(now.Add(time.Duration(i+1) * time.Millisecond))
	}
	if len(c.until) != maxCodes || c.take(first, now) || !c.take(last, now) {
		t.Errorf("%d codes; the oldest have to go first", len(c.until))
	}
}

func testToken(t testing.TB) pki.Token {
	ca, err := pki.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return ca.NewToken()
}

func TestASessionIsOneClustersAndCantBeMade(t *testing.T) {
	token := testToken(t)
	until := time.Unix(2_000_000_000, 0)
	value := seal(token, until)
	if got, ok := unseal(token, value); !ok || !got.Equal(until) {
		t.Fatalf("%v %v", got, ok)
	}
	if _, ok := unseal(testToken(t), value); ok {
		t.Error("another cluster's session is taken")
	}
	for i := range value {
		forged := []byte(value)
		forged[i] ^= 1
		if _, ok := unseal(token, string(forged)); ok {
			t.Errorf("changed at %d, it's taken", i)
		}
	}
}

func FuzzSession(f *testing.F) {
	token := testToken(f)
	f.Add(seal(token, time.Unix(1, 0)))
	f.Add("")
	f.Fuzz(func(t *testing.T, value string) {
		if until, ok := unseal(token, value); ok && seal(token, until) != value {
			t.Errorf("%q is taken, and no head made it", value)
		}
	})
}

// browse makes a request as a browser does; it follows no redirect.
func browse(t testing.TB, h *Head, method, path string, cookie *http.Cookie, change func(*http.Request)) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+h.HTTPAddress()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if cookie != nil {
		r.AddCookie(cookie)
	}
	if change != nil {
		change(r)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// signedIn has a browser use a new code, at the head `at`.
func signedIn(t testing.TB, h, at *Head) *http.Cookie {
	t.Helper()
	code, err := client(t, h).SignInCode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	resp := browse(t, at, "GET", "/sign-in?code="+code.Code, nil, nil)
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "./" || len(resp.Cookies()) != 1 {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	again := browse(t, at, "GET", "/sign-in?code="+code.Code, nil, nil)
	if again.StatusCode != http.StatusForbidden || len(again.Cookies()) != 0 {
		t.Errorf("a code works twice: %d", again.StatusCode)
	}
	c := resp.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure || c.Path != "" {
		t.Errorf("cookie %v", c)
	}
	return c
}

func TestASessionReadsAndNoMore(t *testing.T) {
	h := startHead(t, t.TempDir())
	cookie := signedIn(t, h, h)
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		method, path string
		change       func(*http.Request)
		code         int
	}{
		"reads":             {"GET", "/api/v0/nodes", nil, 200},
		"the page's own":    {"GET", "/api/v0/nodes", set("Sec-Fetch-Site", "same-origin"), 200},
		"another port's":    {"GET", "/api/v0/nodes", set("Sec-Fetch-Site", "same-site"), 403},
		"another site's":    {"GET", "/api/v0/nodes", set("Origin", "https://evil.example"), 403},
		"rebound":           {"GET", "/api/v0/nodes", func(r *http.Request) { r.Host = "evil.example" }, 403},
		"changes":           {"POST", "/api/jobs/", nil, 403},
		"removes":           {"DELETE", "/api/jobs/x", nil, 403},
		"makes codes":       {"POST", "/api/sign_in_code", nil, 403},
		"secrets":           {"GET", "/api/heads/backup", nil, 403},
		"with a bad token":  {"GET", "/api/v0/nodes", set("Authorization", "Bearer nonsense"), 403},
		"a live secret":     {"GET", "/api/v0/live?path=/api/heads/backup", nil, 400},
		"a hidden secret":   {"GET", "/api/v0/live?path=/api/x/../heads/backup", nil, 400},
		"an escaped secret": {"GET", "/api/v0/live?path=%2Fapi%2Fheads%2F%2562ackup", nil, 400},
		"live in live":      {"GET", "/api/v0/live?path=/api/v0/live", nil, 400},
		"a page, live":      {"GET", "/api/v0/live?path=/", nil, 400},
		"nothing, live":     {"GET", "/api/v0/live", nil, 400},
	} {
		if resp := browse(t, h, c.method, c.path, cookie, c.change); resp.StatusCode != c.code {
			t.Errorf("%s: %d, want %d", name, resp.StatusCode, c.code)
		}
	}
	if resp := browse(t, h, "GET", "/api/v0/nodes", nil, nil); resp.StatusCode != 401 {
		t.Errorf("without a session: %d", resp.StatusCode)
	}
	over := *cookie
	over.Value = seal(h.Token(), time.Now().Add(-time.Second))
	if resp := browse(t, h, "GET", "/api/v0/nodes", &over, nil); resp.StatusCode != 401 {
		t.Errorf("with a session that is over: %d", resp.StatusCode)
	}
	if resp := browse(t, h, "GET", "/sign-in?code=x", cookie, nil); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("a used link of who is signed in: %d", resp.StatusCode)
	}
}

func TestASessionIsRenewedByVisits(t *testing.T) {
	h := startHead(t, t.TempDir())
	cookie := signedIn(t, h, h)
	for _, path := range []string{"/", "/session"} {
		if resp := browse(t, h, "GET", path, cookie, nil); resp.StatusCode != 200 || len(resp.Cookies()) != 0 {
			t.Errorf("%s, new: %d %v", path, resp.StatusCode, resp.Cookies())
		}
		old := *cookie
		old.Value = seal(h.Token(), time.Now().Add(time.Minute))
		resp := browse(t, h, "GET", path, &old, nil)
		if resp.StatusCode != 200 || len(resp.Cookies()) != 1 {
			t.Fatalf("%s, old: %d %v", path, resp.StatusCode, resp.Cookies())
		}
		if until, ok := unseal(h.Token(), resp.Cookies()[0].Value); !ok || time.Until(until) < sessionLife-time.Minute {
			t.Errorf("%s: until %v", path, until)
		}
	}
	if resp := browse(t, h, "GET", "/session", nil, nil); resp.StatusCode != 401 {
		t.Errorf("no session: %d", resp.StatusCode)
	}
	out := browse(t, h, "POST", "/sign-out", cookie, nil)
	if out.StatusCode != http.StatusNoContent || len(out.Cookies()) != 1 || out.Cookies()[0].MaxAge >= 0 {
		t.Errorf("sign-out: %d %v", out.StatusCode, out.Cookies())
	}
}

func TestPagesNeedNoSessionButALocalName(t *testing.T) {
	h := startHead(t, t.TempDir())
	resp := browse(t, h, "GET", "/", nil, nil)
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	for name := range shielded {
		if len(resp.Header.Values(name)) != 1 {
			t.Errorf("%s: %q", name, resp.Header.Values(name))
		}
	}
	if resp := browse(t, h, "GET", "/", nil, func(r *http.Request) { r.Host = "evil.example" }); resp.StatusCode != 403 {
		t.Errorf("rebound: %d", resp.StatusCode)
	}
}

func TestAProxysNameIsAllowed(t *testing.T) {
	h := startWith(t, Config{DataDir: t.TempDir(), AllowedHosts: []string{"gray.example"}, Version: "test"})
	for host, code := range map[string]int{"gray.example": 200, "GRAY.example:443": 200, "evil.gray.example": 403, "example": 403} {
		if resp := browse(t, h, "GET", "/", nil, func(r *http.Request) { r.Host = host }); resp.StatusCode != code {
			t.Errorf("%s: %d", host, resp.StatusCode)
		}
	}
	proxied := func(r *http.Request) { // with its own Host
		r.Header.Set("Origin", "https://gray.example")
		r.Header.Set("X-Forwarded-Proto", "https")
	}
	code, _ := h.codes.issue(time.Now())
	resp := browse(t, h, "GET", "/sign-in?code="+code, nil, proxied)
	if resp.StatusCode != http.StatusSeeOther || !resp.Cookies()[0].Secure {
		t.Errorf("behind TLS: %d %v", resp.StatusCode, resp.Cookies())
	}
}
