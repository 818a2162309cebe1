package e2e

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Rows of gray's --json, as far as tests look at them.
type (
	nodeRow struct {
		ID         string             `json:"node_id"`
		State      string             `json:"state"`
		Address    string             `json:"address"`
		Head       bool               `json:"is_head_node"`
		Total      map[string]float64 `json:"resources_total"`
		Available  map[string]float64 `json:"resources_available"`
		Workers    int                `json:"workers"`
		PID        int                `json:"pid"`
		DeathCause string             `json:"death_cause"`
	}
	jobRow struct {
		ID      string `json:"submission_id"`
		Number  string `json:"job_id"`
		Status  string `json:"status"`
		Message string `json:"message"`
		Code    *int   `json:"driver_exit_code"`
		Node    string `json:"driver_node"`
		PID     int    `json:"driver_pid"`
	}
	actorRow struct {
		Class    string `json:"class_name"`
		Name     string `json:"name"`
		State    string `json:"state"`
		Node     string `json:"node_id"`
		PID      int    `json:"pid"`
		Restarts int    `json:"restarts"`
	}
	taskRow struct {
		Function string `json:"name"`
		State    string `json:"state"`
		Node     string `json:"node_id"`
		PID      int    `json:"pid"`
	}
	objectRow struct {
		ID      string   `json:"object_id"`
		Size    int64    `json:"size"`
		State   string   `json:"state"`
		Holders []string `json:"holders"`
	}
	statusRow struct {
		Address   string             `json:"address"`
		Nodes     []nodeRow          `json:"nodes"`
		Total     map[string]float64 `json:"resources_total"`
		Available map[string]float64 `json:"resources_available"`
		Waiting   []struct {
			Count  int    `json:"count"`
			Reason string `json:"reason"`
		} `json:"waiting"`
		Jobs []jobRow `json:"jobs_running"`
	}
)

const storeFlag = "--object-store-memory=256MiB"

var addressOf = regexp.MustCompile(`The cluster at (\S+) accepts jobs`)

// startHead starts a head with a node of 2 CPUs, and keeps its address.
func (h *host) startHead(args ...string) {
	h.t.Helper()
	out := h.must(append([]string{"start", "--head", "--port=0", "--http-port=0", "--num-cpus=2", storeFlag}, args...)...)
	m := addressOf.FindStringSubmatch(out)
	if m == nil {
		h.t.Fatalf("no address in %s", out)
	}
	h.address = m[1]
}

// startNode joins another node of 2 CPUs.
func (h *host) startNode(args ...string) {
	h.t.Helper()
	h.must(append([]string{"start", "--address", h.address, "--num-cpus=2", storeFlag}, args...)...)
}

func rowsOf[T any](h *host, verb string) []T {
	h.t.Helper()
	return decode[[]T](h.t, h.must(verb, "--json", "--address", h.address))
}

func (h *host) nodes() []nodeRow     { h.t.Helper(); return rowsOf[nodeRow](h, "nodes") }
func (h *host) jobs() []jobRow       { h.t.Helper(); return rowsOf[jobRow](h, "jobs") }
func (h *host) actors() []actorRow   { h.t.Helper(); return rowsOf[actorRow](h, "actors") }
func (h *host) objects() []objectRow { h.t.Helper(); return rowsOf[objectRow](h, "objects") }

// tasks returns those that haven't ended.
func (h *host) tasks() []taskRow {
	h.t.Helper()
	all := decode[[]taskRow](h.t, h.must("tasks", "--limit=10000", "--json", "--address", h.address))
	return slices.DeleteFunc(all, func(x taskRow) bool { return x.State == "FINISHED" || x.State == "FAILED" })
}

func (h *host) status() statusRow {
	h.t.Helper()
	return decode[statusRow](h.t, h.must("status", "--json", "--address", h.address))
}

func (h *host) job(id string) jobRow {
	h.t.Helper()
	return decode[jobRow](h.t, h.must("job", "status", id, "--json", "--address", h.address))
}

func (h *host) node(id string) nodeRow {
	h.t.Helper()
	for _, n := range h.nodes() {
		if n.ID == id {
			return n
		}
	}
	h.t.Fatalf("no node %s", id)
	return nodeRow{}
}

// running returns the tasks that a worker has begun.
func (h *host) running() []taskRow {
	h.t.Helper()
	var running []taskRow
	for _, x := range decode[[]taskRow](h.t, h.must("tasks", "--state=RUNNING", "--limit=10000", "--json", "--address", h.address)) {
		if x.PID != 0 {
			running = append(running, x)
		}
	}
	return running
}

// info is what a daemon of this host records of itself.
type info struct {
	Role        string `json:"role"`
	PID         int    `json:"pid"`
	Address     string `json:"address"`
	HTTPAddress string `json:"http_address"`
	Socket      string `json:"socket"`
	Node        int    `json:"node_id"`
	DataDir     string `json:"data_dir"`
}

func (h *host) daemons(role string) []info {
	h.t.Helper()
	paths, _ := filepath.Glob(filepath.Join(h.dir, "r", "gray-*", role+"-*", "info.json"))
	var all []info
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			h.t.Fatal(err)
		}
		all = append(all, decode[info](h.t, string(text)))
	}
	return all
}

func (h *host) head() info {
	h.t.Helper()
	all := h.daemons("head")
	if len(all) != 1 {
		h.t.Fatalf("%d heads", len(all))
	}
	return all[0]
}

func (h *host) token() string {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.dir, ".gray", "token"))
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// restartHead starts a killed head again, on its ports.
func (h *host) restartHead(was info) string {
	h.t.Helper()
	r := h.beginHead(was).wait()
	if r.code != 0 {
		h.t.Fatal(r)
	}
	return r.out
}

// beginHead is restartHead without the wait for it.
func (h *host) beginHead(was info, args ...string) *command {
	h.t.Helper()
	_, port, _ := net.SplitHostPort(was.Address)
	_, http, _ := net.SplitHostPort(was.HTTPAddress)
	return h.begin(append([]string{"start", "--head", "--port", port, "--http-port", http, "--num-cpus=2", storeFlag}, args...)...)
}

// held is a job of testdata/hold: it has tasks, actors and an object, and goes on
// until it's released.
type held struct {
	h   *host
	dir string
}

func (h *host) newHeld() *held {
	h.t.Helper()
	dir, err := os.MkdirTemp(h.dir, "held")
	if err != nil {
		h.t.Fatal(err)
	}
	return &held{h, dir}
}

const holdJob = "./e2e/testdata/hold"

// args are those of gray submit.
func (x *held) submit(args ...string) *command {
	x.h.t.Helper()
	return x.h.begin(append([]string{"submit", holdJob, "--address", x.h.address, "--", "--dir", x.dir}, args...)...)
}

// begun waits until n tasks have begun.
func (x *held) begun(n int) {
	x.h.t.Helper()
	until(x.h.t, "tasks begin", func() bool { return x.count() >= n })
}

func (x *held) count() int {
	begun, _ := filepath.Glob(filepath.Join(x.dir, "begun-*"))
	return len(begun)
}

// release lets the tasks end.
func (x *held) release() {
	x.h.t.Helper()
	if err := os.WriteFile(filepath.Join(x.dir, "go"), nil, 0o600); err != nil {
		x.h.t.Fatal(err)
	}
}

const heldOutput = "sum 6, actor 7, object 1000000\n"
