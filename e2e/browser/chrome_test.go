package browser

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// proxyHost is a name that the browser finds on this machine.
const proxyHost = "gray.example"

func findChromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// browser is a running Chromium.
type browser struct {
	ctx    context.Context
	cancel []context.CancelFunc
}

func startBrowser(program, dir string) (*browser, error) {
	b := new(browser)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.UserDataDir(filepath.Join(dir, "chromium")), chromedp.NoSandbox,
		chromedp.Flag("host-resolver-rules", "MAP "+proxyHost+" 127.0.0.1"), chromedp.WSURLReadTimeout(limit),
	)...)
	b.cancel = append(b.cancel, cancel)
	b.ctx, cancel = chromedp.NewContext(ctx)
	b.cancel = append(b.cancel, cancel)
	if err := chromedp.Do(b.ctx); err != nil {
		b.close()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return b, nil
}

func (b *browser) close() {
	for i := len(b.cancel) - 1; i >= 0; i-- {
		b.cancel[i]()
	}
}

// window is a page of the dashboard in the browser, with cookies of its own. What its console says, and
// what it asks of others than base, fails the test at its end.
type window struct {
	t    *testing.T
	ctx  context.Context
	base string // URL of the dashboard, with its slash

	mu       sync.Mutex
	problems []string
	expected []string // parts of problems that are none
}

// open opens a tab for the dashboard at base; nothing is loaded yet.
func open(t *testing.T, base string, width, height int64) *window {
	t.Helper()
	x := &window{t: t, base: strings.TrimRight(base, "/") + "/"}
	ctx, cancel := chromedp.NewContext(chrome.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(x.hear))
	x.ctx = ctx
	t.Cleanup(cancel)
	t.Cleanup(x.check)
	if err := chromedp.Do(ctx); err != nil { // the tab ends with this one's context
		t.Fatalf("open a tab: %v", err)
	}
	x.do("its size", size(width, height, false))
	return x
}

// signedIn opens a tab on the shared cluster that is signed in.
func signedIn(t *testing.T, width, height int64) *window {
	t.Helper()
	need(t)
	x := open(t, "http://"+shared.http, width, height)
	x.load(shared.signInLink(t, ""))
	return x
}

func (x *window) hear(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if o := e.ExceptionDetails.Exception; o != nil {
			text += " " + o.Description
		}
		x.problem("exception: " + text)
	case *runtime.EventConsoleAPICalled:
		switch e.Type {
		case runtime.ConsoleAPICalledTypeError, runtime.ConsoleAPICalledTypeWarning, runtime.ConsoleAPICalledTypeAssert:
			var text []string
			for _, a := range e.Args {
				text = append(text, string(a.Value)+a.Description)
			}
			x.problem("console: " + strings.Join(text, " "))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			x.problem(fmt.Sprintf("log: %s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, x.base) && !strings.HasPrefix(u, "data:") && u != "about:blank" {
			x.problem("a request leaves the dashboard: " + u)
		}
	}
}

func (x *window) problem(text string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.problems = append(x.problems, text)
}

// expect makes problems that have a text in them none.
func (x *window) expect(text string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.expected = append(x.expected, text)
}

func (x *window) check() {
	x.mu.Lock()
	defer x.mu.Unlock()
	said := map[string]bool{}
	for _, p := range x.problems {
		expected := said[p]
		said[p] = true
		for _, e := range x.expected {
			expected = expected || strings.Contains(p, e)
		}
		if !expected {
			x.t.Errorf("the page: %.600s", p)
		}
	}
}

// size is that of the page, in CSS pixels.
func size(width, height int64, mobile bool) chromedp.Action[chromedp.Void] {
	return order(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: mobile,
	})
}

// order is a command of the protocol.
func order[P any](c cdp.Command[P, cdp.Empty], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// do carries out actions, or fails the test.
func (x *window) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.ctx, limit)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		x.t.Fatalf("%s: %v", what, err)
	}
}

// load goes to a URL, or to a page of the dashboard: #/nodes.
func (x *window) load(where string) {
	x.t.Helper()
	if strings.HasPrefix(where, "#") {
		where = x.base + where
	}
	x.do("load "+where, chromedp.Navigate(where))
}

// eval evaluates an expression of JavaScript, and what it promises.
func eval[T any](x *window, expression string) T {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.ctx, limit)
	defer cancel()
	out, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		x.t.Fatalf("evaluate %s: %v", expression, err)
	}
	return out
}

// text is what the page says, its white space made single spaces.
func (x *window) text() string {
	x.t.Helper()
	const all = `[...document.querySelectorAll('main, [data-page]')].map(e => e.innerText + ' ' + e.textContent).join(' ')`
	return strings.Join(strings.Fields(eval[string](x, all)), " ")
}

// await waits until the page says all these words.
func (x *window) await(what string, words ...string) {
	x.t.Helper()
	var missing []string
	text := ""
	ok := settled(func() bool {
		missing = nil
		text = x.text()
		for _, w := range words {
			if w = strings.Join(strings.Fields(w), " "); !strings.Contains(text, w) {
				missing = append(missing, w)
			}
		}
		return len(missing) == 0
	})
	if !ok {
		x.failed()
		x.t.Fatalf("%s: the page doesn't say %q but\n%.3000s", what, missing, text)
	}
}

// until waits until an expression is true.
func (x *window) until(what, expression string) {
	x.t.Helper()
	if !settled(func() bool { return eval[bool](x, "!!("+expression+")") }) {
		x.failed()
		x.t.Fatalf("never: %s", what)
	}
}

// click clicks the button that says a text.
func (x *window) click(text string) {
	x.t.Helper()
	x.until("the button "+text, fmt.Sprintf(`(() => { const b = [...document.querySelectorAll('main button')].find(e => e.textContent.trim() === %q); b?.click(); return b; })()`, text))
}

// shoot keeps a screenshot.
func (x *window) shoot(name string) {
	x.t.Helper()
	dir := os.Getenv("GRAY_SCREENSHOTS")
	if dir == "" {
		dir = x.t.ArtifactDir()
	}
	x.write(dir, name, x.picture())
}

// failed keeps a screenshot of what a test doesn't like.
func (x *window) failed() {
	x.t.Helper()
	x.shoot("failed-" + strings.ReplaceAll(x.t.Name(), "/", "-"))
}

// document keeps a screenshot for -screenshots, too.
func (x *window) document(name string) {
	x.t.Helper()
	x.shoot(name)
	if dir := *screenshots; dir != "" {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(module, dir)
		}
		picture, err := shrunk(x.picture())
		if err != nil {
			x.t.Fatal(err)
		}
		x.write(dir, name, picture)
	}
}

// picture is a PNG of what is in sight.
func (x *window) picture() []byte {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.ctx, limit)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		x.t.Fatalf("screenshot: %v", err)
	}
	return picture
}

func (x *window) write(dir, name string, picture []byte) {
	x.t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		x.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
		x.t.Fatal(err)
	}
}

// inPath makes an id part of a page's address.
func inPath(id string) string { return url.PathEscape(id) }
