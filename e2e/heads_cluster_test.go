package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// headRow is a row of gray heads --json, as far as tests look at it.
type headRow struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	State   string `json:"state"`
	Voter   bool   `json:"voter"`
	Term    uint64 `json:"term"`
	Applied uint64 `json:"applied_index"`
	Lag     uint64 `json:"lag"`
	PID     int    `json:"pid"`
}

// seat is where a head is started, again and again. Its node has the same data dir.
type seat struct{ dir, address string }

// packages is where the head keeps its packages' files.
func (s seat) packages() string { return filepath.Join(s.dir, "head", "packages") }

// heads is a cluster of several heads on one host, each with a node of 2 CPUs that
// outlives it.
type heads struct {
	*host
	seats []seat
}

func newHeads(t *testing.T, n int) *heads {
	t.Helper()
	c := newSeats(t, n)
	c.sitAll()
	return c
}

// newSeats is newHeads before anything is started.
func newSeats(t *testing.T, n int) *heads {
	t.Helper()
	c := &heads{host: newHost(t)}
	for i := range n {
		c.seats = append(c.seats, seat{filepath.Join(c.dir, ".gray", "data", strconv.Itoa(i)), freeAddress(t)})
	}
	c.address = c.seats[0].address
	return c
}

// sitAll starts a head at each seat; the first leads.
func (c *heads) sitAll() {
	c.t.Helper()
	c.sit(c.seats[0])
	for _, s := range c.seats[1:] {
		c.sit(s, "--join", c.address)
	}
	c.whole(len(c.seats))
}

// within has another test fail when something of the cluster does.
func (c *heads) within(t *testing.T) *heads {
	h := *c.host
	h.t = t
	return &heads{&h, c.seats}
}

// freeAddress returns one whose port no outgoing connection takes while its head
// is dead.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000)))
		if err != nil {
			continue
		}
		l.Close()
		return l.Addr().String()
	}
	t.Fatal("no port is free")
	return ""
}

// start is the command line of gray that starts a head at a seat.
func (s seat) start(args ...string) []string {
	_, port, _ := net.SplitHostPort(s.address)
	return append([]string{
		"start", "--head", "--port", port, "--http-port=0", "--node-ip-address=127.0.0.1", "--num-cpus=2", storeFlag, "--data-dir", s.dir,
	}, args...)
}

// sit starts a head at a seat, the first time or again.
func (c *heads) sit(s seat, args ...string) (out string) {
	c.t.Helper()
	return c.must(s.start(args...)...)
}

func (c *heads) seat(address string) seat {
	c.t.Helper()
	i := slices.IndexFunc(c.seats, func(s seat) bool { return s.address == address })
	if i < 0 {
		c.t.Fatalf("no head was started at %s", address)
	}
	return c.seats[i]
}

// rows is what gray heads shows; nil: no head could answer.
func (c *heads) rows(args ...string) []headRow {
	c.t.Helper()
	r := c.run(append([]string{"heads", "--json", "--address", c.address}, args...)...)
	if r.code != 0 {
		return nil
	}
	return decode[[]headRow](c.t, r.out)
}

// whole waits until n heads are members, have a vote, and follow the leader closely.
func (c *heads) whole(n int) []headRow {
	c.t.Helper()
	var rows []headRow
	if !settled(func() bool {
		rows = c.rows()
		leads := 0
		for _, r := range rows {
			if r.State == "LEADER" {
				leads++
			} else if r.State != "FOLLOWER" || !r.Voter || r.Lag > 0 {
				return false
			}
		}
		return len(rows) == n && leads == 1
	}) {
		c.t.Fatalf("heads: %+v", rows)
	}
	return rows
}

// rowAt is the row of the head at an address.
func (c *heads) rowAt(address string) headRow {
	c.t.Helper()
	rows := c.whole(len(c.seats))
	return rows[slices.IndexFunc(rows, func(r headRow) bool { return r.Address == address })]
}

// leader waits for one.
func (c *heads) leader() (leader headRow) {
	c.t.Helper()
	until(c.t, "a head leads", func() bool {
		rows := c.rows()
		i := slices.IndexFunc(rows, func(r headRow) bool { return r.State == "LEADER" })
		if i >= 0 {
			leader = rows[i]
		}
		return i >= 0
	})
	return leader
}

// follower returns a head that doesn't lead.
func (c *heads) follower() headRow {
	c.t.Helper()
	rows := c.whole(len(c.seats))
	return rows[slices.IndexFunc(rows, func(r headRow) bool { return r.State == "FOLLOWER" })]
}

// fell kills a head, and returns when its process has gone.
func (c *heads) fell(r headRow) seat {
	c.t.Helper()
	c.kill(r.PID)
	until(c.t, "the head is gone", func() bool { return !alive(r.PID) })
	return c.seat(r.Address)
}

// killLeaders kills one leader after another and starts each again, until a command
// has ended. Before each it waits until more has been done.
func (c *heads) killLeaders(x *command, done func() int) (kills int) {
	c.t.Helper()
	for before := -1; ; kills++ {
		until(c.t, "the command goes on", func() bool {
			last := before
			before = max(before, done())
			return before > last || x.over()
		})
		if x.over() {
			c.whole(len(c.seats))
			return kills
		}
		dead := c.fell(c.leader())
		c.leader()
		c.sit(dead)
	}
}

// rest makes a request of the head at address. The error says that no answer came.
func (c *heads) rest(method, address, path string, body io.Reader, header ...string) (status int, text string, err error) {
	client := http.Client{Timeout: limit, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // other tests are about that
	}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequest(method, "https://"+address+path, body)
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Authorization", "Bearer "+c.token())
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.TrimSpace(string(b)), err
}

// submitShell submits a shell command through the head at address, which lives, as
// often as it takes until there's a leader.
func (c *heads) submitShell(address, id, line string) {
	c.t.Helper()
	body, err := json.Marshal(map[string]string{"entrypoint": line, "submission_id": id})
	if err != nil {
		c.t.Fatal(err)
	}
	until(c.t, "a job is accepted", func() bool {
		status, text, err := c.rest(http.MethodPost, address, "/api/jobs/", bytes.NewReader(body), "X-Gray-Request", id)
		if err != nil || status != http.StatusOK && status != http.StatusServiceUnavailable {
			c.t.Fatalf("submit %s: status %d, %s, %v", id, status, text, err)
		}
		return status == http.StatusOK
	})
}

// lines counts a file's lines, and those of them that are different.
func lines(t *testing.T, path string) (all, distinct int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		all++
		seen[line] = true
	}
	return all, len(seen)
}
