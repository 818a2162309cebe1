package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var (
	light = scheme("light")
	dark  = scheme("dark")
	desk  = size(1280, 800, false)
	phone = size(390, 844, true)
)

func scheme(value string) chromedp.Action[chromedp.Void] {
	return order(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}}})
}

// TestSigningIn: without a session pages say how to get one; a link works once.
func TestSigningIn(t *testing.T) {
	need(t)
	x := open(t, "http://"+shared.http, 1280, 800)
	x.expect("401")
	x.load("#/")
	x.await("what to do", "gray dashboard")
	x.shoot("sign-in")
	link := shared.signInLink(t, "")
	x.load(link)
	x.await("the overview", "Nodes", "n1")
	if cookie := eval[string](x, `document.cookie`); cookie != "" {
		t.Errorf("scripts can read %q", cookie)
	}
	if at := eval[string](x, `location.href`); strings.Contains(at, "code") {
		t.Errorf("the code stays in the address: %s", at)
	}
	other := open(t, "http://"+shared.http, 1280, 800)
	other.expect("403")
	other.expect("favicon")
	other.load(link)
	if text := eval[string](other, `document.body.textContent`); !strings.Contains(text, "was used already") {
		t.Errorf("a used link: %s", text)
	}
}

// TestKeyboard: all can be reached without a mouse, and where the focus is can be seen.
func TestKeyboard(t *testing.T) {
	x := signedIn(t, 1280, 800)
	x.await("the overview", "n1")
	const focused = `(document.activeElement?.textContent ?? '').trim()`
	const visible = `(() => { const e = document.activeElement, s = getComputedStyle(e); return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0 || s.boxShadow !== 'none'; })()`
	x.do("tab", chromedp.KeyEvent(kb.Tab))
	if text := eval[string](x, focused); !strings.Contains(text, "Skip") {
		t.Errorf("first is %q, no skip link", text)
	}
	var seen []string
	for range 30 {
		x.do("tab", chromedp.KeyEvent(kb.Tab))
		text := eval[string](x, focused)
		seen = append(seen, text)
		if !eval[bool](x, visible) {
			t.Errorf("the focus on %q can't be seen", text)
		}
		if text == "Tasks" {
			x.do("enter", chromedp.KeyEvent(kb.Enter))
			x.until("the tasks' page", `location.hash === '#/tasks'`)
			x.await("the tasks", "hold")
			return
		}
	}
	t.Errorf("the navigation isn't reached: %q", seen)
}

// TestBehindAProxy: under another name and a path, and nothing is asked outside of it.
func TestBehindAProxy(t *testing.T) {
	need(t)
	const prefix = "/some/gray"
	target := &url.URL{Scheme: "http", Host: shared.http}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // as a proxy that keeps the name
		r.SetXForwarded()
	}}
	mux := http.NewServeMux()
	mux.Handle(prefix+"/", http.StripPrefix(prefix, proxy))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close) // after the tab's end, whose stream it would wait for
	base := fmt.Sprintf("http://%s:%d%s", proxyHost, port(server.URL), prefix)
	x := open(t, base, 1280, 800)
	x.load(shared.signInLink(t, base))
	x.await("the overview", "n1", "n2")
	x.load("#/tasks")
	x.await("the tasks", "hold")
	x.until("it is live", `document.body.textContent.includes('Live')`)
}

func port(address string) int {
	u, err := url.Parse(address)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(u.Port())
	return n
}

// TestManyRows: of ten thousand rows few are in the document, and all can be scrolled to.
func TestManyRows(t *testing.T) {
	x := signedIn(t, 1280, 800)
	if err := <-shared.submit(t, "many", "--squares=10000"); err != nil {
		t.Fatal(err)
	}
	x.load("#/tasks?limit=10000&sort=creation_time_ms&order=asc")
	x.until("ten thousand rows", `document.querySelector('.list .where').textContent.startsWith('1–10,000 of')`)
	const scrolled = `new Promise(done => {
		const el = document.querySelector('.scroll.tall'), times = [];
		let last = performance.now(), most = 0;
		const step = now => {
			times.push(now - last); last = now; most = Math.max(most, el.querySelectorAll('tr').length);
			if (times.length < 120) { el.scrollTop += 300; requestAnimationFrame(step); return; }
			el.scrollTop = el.scrollHeight;
			times.sort((a, b) => a - b);
			done({ p50: times[60], p95: times[114], most });
		};
		requestAnimationFrame(step);
	})`
	x.do("count CPU time", order(performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks}))
	before := x.busy()
	frames := eval[struct{ P50, P95, Most float64 }](x, scrolled)
	t.Logf("scrolling through 10,000 rows: %.1f ms of CPU a frame; frames every %.1f ms, p95 %.1f ms; %v rows in the document at most",
		(x.busy()-before)*1000/120, frames.P50, frames.P95, frames.Most)
	if frames.Most > 120 {
		t.Errorf("%v rows are in the document", frames.Most)
	}
	x.until("the last row is there", `document.querySelector('tr[aria-rowindex="10001"]') !== null`)
	x.shoot("many-rows")
}

// busy is how many seconds the page's main thread has worked.
func (x *window) busy() float64 {
	x.t.Helper()
	var seconds float64
	x.do("its work", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		all, err := cdp.Call(ctx, t, performance.GetMetrics, cdp.Empty{})
		for _, m := range all.Metrics {
			if m.Name == "TaskDuration" {
				seconds = m.Value
			}
		}
		return err
	}))
	return seconds
}

var voters = regexp.MustCompile(`"is_voter": true|"voter": true`)

// TestALeaderDies: the page of another head goes on.
func TestALeaderDies(t *testing.T) {
	need(t)
	dir, err := os.MkdirTemp("/tmp", "gb") // short: it holds sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	var heads []*machine
	token := ""
	for i := range 3 {
		m, err := newMachine(filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = m.run("stop", "--force") })
		var join []string
		if i > 0 {
			join = []string{"--join", heads[0].address, "--token", token}
		}
		if err := m.startHead(join...); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(m.dir, ".gray", "token"))
		if err != nil {
			t.Fatal(err)
		}
		token = strings.TrimSpace(string(text))
		heads = append(heads, m)
	}
	if !settled(func() bool {
		out, err := heads[0].run("heads", "--json")
		return err == nil && len(voters.FindAllString(out, -1)) == 3
	}) {
		t.Fatal("not all heads vote")
	}
	x := open(t, "http://"+heads[1].http, 1280, 800)
	x.expect("net::ERR")
	x.expect("503")
	x.load(heads[1].signInLink(t, ""))
	x.await("the heads", heads[0].address, heads[1].address, heads[2].address, "LEADER")
	if err := syscall.Kill(heads[0].pid(t, "head"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	x.await("that one is gone", "UNREACHABLE", "LEADER")
	x.until("it is live again", `document.body.textContent.includes('Live')`)
}

// pid is that of the daemon of a role.
func (m *machine) pid(t *testing.T, role string) int {
	t.Helper()
	paths, _ := filepath.Glob(filepath.Join(m.dir, "r", "gray-*", role+"-*", "info.json"))
	if len(paths) != 1 {
		t.Fatalf("%s: %v", role, paths)
	}
	text, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(string(regexp.MustCompile(`"pid": ?(\d+)`).FindSubmatch(text)[1]))
	if err != nil || n <= 1 {
		t.Fatalf("pid %d, %v", n, err)
	}
	return n
}
