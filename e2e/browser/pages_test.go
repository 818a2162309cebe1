package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// page is one of the dashboard's, and what it has to say, as the CLI and the API say it.
type page struct {
	name string // of its screenshot
	hash func(t *testing.T) string
	says func(t *testing.T) []string
	look func(x *window) // what else there has to be; nil: nothing
}

func at(hash string) func(*testing.T) string { return func(*testing.T) string { return hash } }

// tab is a part of a page.
func tab(name string, of func(*testing.T) string) func(*testing.T) string {
	return func(t *testing.T) string { t.Helper(); return of(t) + "?tab=" + name }
}

func words(all ...string) func(*testing.T) []string {
	return func(*testing.T) []string { return all }
}

// listed is what columns of a list's rows say, of the first few.
func listed(path string, columns ...string) func(*testing.T) []string {
	return func(t *testing.T) []string {
		t.Helper()
		rows, total := shared.list(t, path)
		if len(rows) == 0 {
			t.Fatalf("%s is empty: the job has something of everything", path)
		}
		said := []string{fmt.Sprint(total)}
		for _, r := range rows[:min(len(rows), 10)] {
			for _, c := range columns {
				said = append(said, r.text(c))
			}
		}
		return said
	}
}

// first is the page of the first row of a list that has these columns.
func first(kind, path, id string, where row) func(*testing.T) string {
	return func(t *testing.T) string {
		t.Helper()
		rows, _ := shared.list(t, path)
		for _, r := range rows {
			fits := true
			for k, v := range where {
				fits = fits && strings.Contains(r.text(k), fmt.Sprint(v))
			}
			if fits {
				return "#/" + kind + "/" + inPath(r.text(id))
			}
		}
		t.Fatalf("%s has no row with %v: %v", path, where, rows)
		return ""
	}
}

var pages = []page{
	{"nodes", at("#/nodes"), listed("api/v0/nodes", "node_id", "address", "state", "hostname"), nil},
	{"node", at("#/nodes/n1"), func(t *testing.T) []string {
		for _, n := range shared.rows(t, "nodes") {
			if n.text("node_id") == "n1" {
				return []string{"n1", n.text("address"), n.text("hostname"), n.text("platform"), "/ 2"}
			}
		}
		t.Fatal("no node n1")
		return nil
	}, nil},
	{"workers", at("#/workers"), listed("api/v0/workers", "worker_id", "node_id", "pid"), nil},
	{"groups", at("#/groups"), func(t *testing.T) []string {
		said := []string{"pair", "CREATED"}
		for _, n := range shared.rows(t, "nodes") {
			said = append(said, n.text("node_id"))
		}
		return said
	}, func(x *window) {
		for _, node := range []string{"n1", "n2"} {
			x.until("a bundle on "+node, fmt.Sprintf(`document.querySelectorAll('.column[aria-label="Bundles on %s"] .box').length === 1`, node))
		}
	}},
	{"jobs", at("#/jobs"), func(t *testing.T) []string {
		var said []string
		for _, j := range shared.rows(t, "jobs") {
			said = append(said, j.text("submission_id"), j.text("status"))
		}
		return said
	}, nil},
	{"job", first("jobs", "api/v0/jobs", "job_id", row{"submission_id": showJob}), func(t *testing.T) []string {
		_, all := shared.list(t, "api/v0/tasks?filter_keys=name&filter_predicates=%3D&filter_values=main.square&limit=1")
		return []string{showJob, "RUNNING", "square", "hold", "fail", fmt.Sprint(all), "p95"}
	}, func(x *window) {
		x.until("the histograms", `document.querySelectorAll('.chart[aria-label^="Histogram"] canvas').length === 2`)
		for _, kind := range []string{"run", "wait"} {
			x.await("of all that ran", fmt.Sprintf("count%v", shared.summary(x.t, "main.square", kind)["count"]))
		}
	}},
	{"job-log", tab("log", first("jobs", "api/v0/jobs", "job_id", row{"submission_id": showJob})),
		words(showJob, "plain line", "after the long line", "<img src=x onerror=", "invalid", "holding"), nil},
	{"tasks", at("#/tasks"), listed("api/v0/tasks?limit=100", "task_id", "job_id"), nil},
	{"task", first("tasks", "api/v0/tasks?limit=1000", "task_id", row{"name": "hold", "state": "RUNNING"}),
		words("hold", "RUNNING", "has run", "Began", "holding", "<img src=x onerror="), func(x *window) {
			x.click("What do they do?")
			x.await("its stack", "main.waitFor", "main.hold")
		}},
	{"task-waiting", first("tasks", "api/v0/tasks?limit=1000", "task_id", row{"name": "unicorn"}),
		words("unicorn", "No node could ever take it", "lacks unicorn: wants 1, has 0 in all"), nil},
	{"task-after", first("tasks", "api/v0/tasks?limit=1000", "task_id", row{"name": "add", "state": "PENDING_ARGS_AVAIL"}), func(t *testing.T) []string {
		return []string{"add", "NEEDS INPUTS", "Waits for", shared.task(t, "add", "PENDING_ARGS_AVAIL").input(t)}
	}, func(x *window) {
		x.until("a link to what it waits for", fmt.Sprintf(`document.querySelector('.facts a[href="#/tasks/%s"]')`, shared.task(x.t, "add", "PENDING_ARGS_AVAIL").input(x.t)))
	}},
	{"task-retried", first("tasks", "api/v0/tasks?limit=1000", "task_id", row{"name": "flaky", "state": "FINISHED"}), func(t *testing.T) []string {
		last := shared.task(t, "flaky", "FINISHED")
		return []string{"flaky", "FINISHED", "FAILED", "not yet", last.text("worker_id"), "in line at the worker", "Outputs"}
	}, func(x *window) {
		x.until("both attempts", `document.querySelectorAll('table[aria-label="Attempts"] tbody tr').length === 2`)
	}},
	{"task-failed", first("tasks", "api/v0/tasks?limit=1000", "task_id", row{"name": "fail", "state": "FAILED"}),
		words("fail", "FAILED", "<img src=x onerror=", "Error", "ran"), nil},
	{"actors", at("#/actors"), listed("api/v0/actors", "actor_id", "state", "class_name"), nil},
	{"actor", first("actors", "api/v0/actors", "actor_id", row{"name": "phoenix"}), func(t *testing.T) []string {
		return []string{"phoenix", "ALIVE", "RESTARTING", "Keeper", "Leave", "exited with code 3", "incarnation"}
	}, nil},
	{"actor-dead", first("actors", "api/v0/actors", "actor_id", row{"name": "stillborn"}), words("stillborn", "DEAD", "not born", "<img src=x onerror="), nil},
	{"objects", at("#/objects"), listed("api/v0/objects?detail=1", "object_id", "node_id", "owner"), func(x *window) {
		rows, _ := shared.list(x.t, "api/v0/objects?detail=1")
		for _, o := range rows {
			holders, _ := o["held_by"].([]any)
			for _, h := range holders {
				x.await("who holds it", row(h.(map[string]any)).text("name"))
			}
		}
		x.await("who holds them", "driver j1", "main.table")
	}},
	{"timeline", at("#/timeline"), func(t *testing.T) []string {
		var answer struct{ Data struct{ Slices []any } }
		if err := json.Unmarshal(shared.api(t, "api/v0/timeline?limit=50000"), &answer); err != nil {
			t.Fatal(err)
		}
		return []string{fmt.Sprintf("%d tasks on", len(answer.Data.Slices)), "main.square", "main.hold", "main.fail"}
	}, func(x *window) {
		const colours = `(() => { const c = document.querySelector('.timeline canvas'), g = new OffscreenCanvas(c.width, c.height).getContext('2d', { willReadFrequently: true });
			g.drawImage(c, 0, 0);
			const d = g.getImageData(0, 0, c.width, c.height).data, all = new Map();
			for (let i = 0; i < d.length; i += 4) { const k = d[i] << 16 | d[i+1] << 8 | d[i+2]; all.set(k, (all.get(k) ?? 0) + 1); }
			return [...all.values()].filter(n => n > 30).length; })()`
		x.until("slices are drawn", colours+" > 6")
		x.do("the canvas", chromedp.Focus(".timeline canvas"), chromedp.KeyEvent("n"))
		x.await("the first slice is chosen", "began at", "ran", "on n")
		x.do("closer", chromedp.KeyEvent("++++++++"))
		x.until("it is drawn closer", colours+" > 6")
	}},
	{"training", at("#/training"), words("digits", "RUNNING", "200 of 400", "j1"), nil},
	{"run", first("runs", "api/v0/runs", "run_id", row{"name": "digits"}), func(t *testing.T) []string {
		return append(shared.latest(t, "digits", "loss", "accuracy", "staleness", "learning_rate"),
			"200 of 400", "Loss", "Accuracy", "Samples a second", "Bytes a second", "Time of a step", "data", "compute", "communicate", "wait", "Staleness, how often")
	}, func(x *window) {
		x.until("its charts", `document.querySelectorAll('.charts .chart canvas').length >= 8`)
	}},
	{"agents", at("#/agents"), words("walkers", "ENDED", "200", "j1"), nil},
	{"run-agents", first("runs", "api/v0/runs", "run_id", row{"name": "walkers"}), func(t *testing.T) []string {
		return append(shared.latest(t, "walkers", "return", "episode_length", "loss"), "ENDED", "Return", "Episodes", "3,200", "Episode length")
	}, nil},
	{"runs", at("#/runs"), words("digits", "walkers"), nil},
	{"events", at("#/events"), func(t *testing.T) []string {
		rows, total := shared.list(t, "api/v0/cluster_events")
		said := []string{fmt.Sprint(total), "node joined", "actor restarting", "WARNING"}
		for _, e := range rows[:min(len(rows), 10)] {
			said = append(said, strings.ReplaceAll(strings.ToLower(e.text("kind")), "_", " "))
		}
		return said
	}, nil},
	{"metrics", at("#/metrics?q=show_"), words("show_squared_total", "counter", "Numbers that were squared."), func(x *window) {
		x.until("200 were squared", `[...document.querySelectorAll('table[aria-label=metrics] tr')].some(e => e.textContent.includes('show_squared_total') && e.textContent.includes('200'))`)
		x.load("#/metrics")
		x.await("all metrics", "gray_nodes", "gray_task_run_seconds", "show_squared_total")
	}},
	{"overview", at("#/"), func(t *testing.T) []string {
		said := []string{"Nodes", "of 4", "Heads", "LEADER", "unicorn"}
		for _, n := range shared.rows(t, "nodes") {
			said = append(said, n.text("node_id"))
		}
		for _, h := range shared.rows(t, "heads") {
			said = append(said, h.text("id"), h.text("address"))
		}
		return said
	}, func(x *window) {
		x.until("the load", `document.querySelectorAll('.charts .chart canvas').length === 6 && document.querySelector('.chart[aria-label^="CPUs"]').ariaLabel.includes('there are 4')`)
	}},
}

// task is the newest attempt of a function's in a state.
func (c *cluster) task(t *testing.T, function, state string) row {
	t.Helper()
	rows, _ := c.list(t, "api/v0/tasks?limit=1000")
	for _, r := range rows {
		if strings.HasSuffix(r.text("name"), "."+function) && r.text("state") == state {
			return r
		}
	}
	t.Fatalf("no task of %s is %s", function, state)
	return nil
}

// input is the first object that a task takes.
func (r row) input(t *testing.T) string {
	t.Helper()
	var answer struct{ Data struct{ Inputs []row } }
	if err := json.Unmarshal(shared.api(t, "api/v0/tasks/"+inPath(r.text("task_id"))), &answer); err != nil || len(answer.Data.Inputs) == 0 {
		t.Fatalf("%v has no inputs: %v", r, err)
	}
	return answer.Data.Inputs[0].text("object_id")
}

// summary is what is known of a function's run or wait times.
func (c *cluster) summary(t *testing.T, function, kind string) row {
	t.Helper()
	var answer struct {
		Data struct {
			Result struct {
				Result struct {
					Nodes map[string]struct{ Summary map[string]row } `json:"node_id_to_summary"`
				}
			}
		}
	}
	if err := json.Unmarshal(c.api(t, "api/v0/tasks/summarize"), &answer); err != nil {
		t.Fatal(err)
	}
	times, _ := answer.Data.Result.Result.Nodes["cluster"].Summary[function][kind].(map[string]any)
	return times
}

// latest are the last values of a run, with four digits as pages show them.
func (c *cluster) latest(t *testing.T, run string, keys ...string) (said []string) {
	t.Helper()
	rows, _ := c.list(t, "api/v0/runs")
	for _, r := range rows {
		if r.text("name") != run {
			continue
		}
		last, _ := r["last"].(map[string]any)
		for _, k := range keys {
			v, ok := last[k].(float64)
			if !ok {
				t.Fatalf("%s has no %s: %v", run, k, r)
			}
			said = append(said, strconv.FormatFloat(v, 'g', 4, 64))
		}
		return said
	}
	t.Fatalf("no run %s: %v", run, rows)
	return nil
}

// TestPages looks at every page, light and dark, and on a phone.
func TestPages(t *testing.T) {
	x := signedIn(t, 1280, 800)
	for _, p := range pages {
		t.Run(p.name, func(t *testing.T) {
			x := x.of(t)
			x.load(p.hash(t))
			x.await(p.name, p.says(t)...)
			if p.look != nil {
				p.look(x)
			}
			x.until("all answers are there", `document.querySelector('main').dataset.ready === 'true'`)
			x.unhurt()
			x.do("light", light)
			x.document(p.name)
			x.readable("light")
			keep := x.shoot
			if p.name == "overview" { // one page is shown in all its looks
				keep = x.document
			}
			x.do("dark", dark)
			keep(p.name + "-dark")
			x.readable("dark")
			x.do("a phone", phone)
			x.narrow()
			keep(p.name + "-phone")
			x.do("a desk", light, desk)
		})
	}
}

// of is the same tab as seen by a part of a test.
func (x *window) of(t *testing.T) *window { return &window{t: t, ctx: x.ctx, base: x.base} }

// unhurt checks that no text has become markup, and none is there that a terminal or a
// reader would take for something else.
func (x *window) unhurt() {
	x.t.Helper()
	if eval[bool](x, `'pwned' in window || document.querySelector('#app img[src="x"], #app script') !== null`) {
		x.t.Error("a text was taken for markup")
	}
	if text := eval[string](x, `document.body.textContent`); strings.ContainsAny(text, "\x00\x07\x1b") {
		i := strings.IndexAny(text, "\x00\x07\x1b")
		x.t.Errorf("a control character is shown: %q", text[max(0, i-30):min(len(text), i+30)])
	}
}

// narrow checks that a phone needn't scroll sideways, and can read what is there.
func (x *window) narrow() {
	x.t.Helper()
	const wide = `[...document.querySelectorAll('#app *')].filter(e => {
		const r = e.getBoundingClientRect();
		for (let p = e.parentElement; p; p = p.parentElement) if (getComputedStyle(p).overflowX !== 'visible') return false;
		return r.width > 0 && r.right > innerWidth + 1;
	}).slice(0, 5).map(e => e.tagName + '.' + e.className + ' ' + Math.round(e.getBoundingClientRect().right))`
	if n := eval[int](x, `document.documentElement.scrollWidth - innerWidth`); n > 0 {
		x.t.Errorf("%d pixels too wide for a phone: %v", n, eval[[]string](x, wide))
	}
}

// contrasts are texts that stand out less from what is behind them than WCAG's AA asks.
const contrasts = `(() => {
	const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return c.startsWith('color(srgb') ? [m[0]*255, m[1]*255, m[2]*255, m[3] ?? 1] : [m[0], m[1], m[2], m[3] ?? 1]; };
	const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
	const lum = c => { const [r, g, b] = c.map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	const behind = e => { const layers = []; for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); layers.push(c); if (c[3] === 1) break; }
		return layers.reverse().reduce((b, c) => over(c, b), [255, 255, 255, 1]); };
	const bad = new Set();
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; n = walk.nextNode();) {
		const e = n.parentElement, r = e.getBoundingClientRect();
		if (!n.data.trim() || !r.width || e.closest('[aria-hidden=true], .hidden, .skip, script, style, noscript, :disabled, canvas')) continue;
		const s = getComputedStyle(e), bg = behind(e), fg = over(parse(s.color), bg);
		const [a, b] = [lum(fg), lum(bg)].sort((p, q) => q - p), ratio = (a + 0.05) / (b + 0.05);
		const large = parseFloat(s.fontSize) >= 24 || parseFloat(s.fontSize) >= 18.6 && s.fontWeight >= 700;
		if (ratio < (large ? 3 : 4.5)) bad.add(e.tagName + '.' + e.className + ' ' + JSON.stringify(n.data.trim().slice(0, 20)) + ' ' + ratio.toFixed(1));
	}
	return [...bad].slice(0, 8);
})()`

func (x *window) readable(theme string) {
	x.t.Helper()
	if bad := eval[[]string](x, contrasts); len(bad) > 0 {
		x.t.Errorf("too little contrast, %s: %q", theme, bad)
	}
}

// TestPagesAreComplete: this test knows all pages that there are.
func TestPagesAreComplete(t *testing.T) {
	text, err := os.ReadFile("../../web/assets/routes.js")
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, p := range pages {
		known = append(known, p.name)
	}
	for _, m := range regexp.MustCompile(`name: '(\w+)'`).FindAllStringSubmatch(string(text), -1) {
		if name := m[1]; !slices.Contains(known, name) {
			t.Errorf("the page %s isn't looked at", name)
		}
	}
}

// TestNumbersOnTheOverview are those that gray status prints.
func TestNumbersOnTheOverview(t *testing.T) {
	x := signedIn(t, 1280, 800)
	x.load("#/")
	out, err := shared.run("status", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var status struct {
		Nodes []struct {
			State string
			Total map[string]float64 `json:"resources_total"`
			Free  map[string]float64 `json:"resources_available"`
		}
		Running []row `json:"jobs_running"`
	}
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		t.Fatal(err)
	}
	used, total := 0.0, 0.0
	for _, n := range status.Nodes {
		used += n.Total["CPU"] - n.Free["CPU"]
		total += n.Total["CPU"]
	}
	alive := 0
	for _, a := range shared.rows(t, "actors") {
		if a.text("state") == "ALIVE" {
			alive++
		}
	}
	for label, value := range map[string]string{
		"Nodes": fmt.Sprint(len(status.Nodes)), "CPUs in use": fmt.Sprint(used), "Jobs running": fmt.Sprint(len(status.Running)), "Actors alive": fmt.Sprint(alive),
	} {
		stat := fmt.Sprintf(`[...document.querySelectorAll('.stat')].find(e => e.querySelector('.label').textContent === %q)?.querySelector('.value').textContent`, label)
		x.until(fmt.Sprintf("%s is %s", label, value), fmt.Sprintf("%s === %q", stat, value))
	}
	x.await("of all CPUs", fmt.Sprintf("of %v", total))
}

// TestALongLogStaysSmall: a line of a megabyte is cut, and says so.
func TestALongLogStaysSmall(t *testing.T) {
	x := signedIn(t, 1280, 800)
	rows, _ := shared.list(t, "api/v0/jobs")
	x.load("#/jobs/" + inPath(rows[0].text("job_id")) + "?tab=log")
	x.await("the log", "plain line", "after the long line", "invalid", "more")
	if n := eval[int](x, `document.body.textContent.length`); n > 200_000 {
		t.Errorf("%d characters are in the page", n)
	}
}

// TestChangesArrive: what begins while a page is open is there without a reload.
func TestChangesArrive(t *testing.T) {
	x := signedIn(t, 1280, 800)
	x.load("#/jobs")
	x.await("the jobs", showJob)
	eval[bool](x, `window.same = true`)
	ended := shared.submit(t, "another")
	x.await("the new job", "another")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	x.until("its end", `[...document.querySelectorAll('tr')].some(e => e.textContent.includes('another') && e.textContent.includes('SUCCEEDED'))`)
	if !eval[bool](x, `window.same === true`) {
		t.Error("the page was loaded anew")
	}
}
