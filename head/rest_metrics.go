package head

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/metrics"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

const (
	metricsPath = "/metrics"
	// maxMetrics is how much text a node may send, and maxClusterMetrics all together for
	// /metrics/cluster.
	maxMetrics        = 32 << 20
	maxClusterMetrics = 128 << 20
)

// getMetrics answers this head's own metrics, whoever leads.
func (h *Head) getMetrics(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	text, err := h.ownMetrics()
	writeMetrics(w, text, err)
}

func writeMetrics(w http.ResponseWriter, text []byte, err error) {
	if err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Content-Type", metrics.ContentType)
	w.Write(text)
}

// getHeadMetrics answers those of any head.
func (h *Head) getHeadMetrics(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	id := r.PathValue("id")
	m := h.consensus.member(raft.ServerID(id))
	if m == nil {
		writeError(w, problem(proto.Error_NOT_FOUND, "no head is named %q", id))
		return
	}
	text, err := h.scrapeHead(r.Context(), *m)
	writeMetrics(w, text, err)
}

func (h *Head) scrapeHead(ctx context.Context, m raft.Server) ([]byte, error) {
	if m.ID == h.consensus.self {
		return h.ownMetrics()
	}
	conn, err := h.heads.get(string(m.Address), string(m.Address))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, gatherLimit)
	defer cancel()
	return readMetrics(proto.NewHeadsClient(conn).HeadMetrics(ctx, &proto.MetricsRequest{}))
}

// getNodeMetrics answers those of a node.
func (h *Head) getNodeMetrics(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	for _, i := range h.leader.infos() {
		if ids.NodeID(i.Id).String() != r.PathValue("id") {
			continue
		}
		conn, err := h.nodes.get(i.Id, i.Address)
		var text []byte
		if err == nil {
			ctx, cancel := context.WithTimeout(r.Context(), gatherLimit)
			defer cancel()
			text, err = readMetrics(proto.NewNodeClient(conn).Metrics(ctx, &proto.MetricsRequest{}))
		}
		writeMetrics(w, text, err)
		return
	}
	writeError(w, problem(proto.Error_NOT_FOUND, "no living node is named %q", r.PathValue("id")))
}

func readMetrics(stream grpc.ServerStreamingClient[proto.Chunk], err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	var text []byte
	err = rpc.Receive(stream, func(c *proto.Chunk) error {
		if text = append(text, c.Data...); len(text) > maxMetrics {
			return fmt.Errorf("over %d bytes of metrics", maxMetrics)
		}
		return nil
	})
	return text, err
}

// getClusterMetrics answers those of all heads and nodes.
func (h *Head) getClusterMetrics(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	c := &clusterMetrics{all: metrics.New()}
	for _, m := range h.consensus.members() {
		text, err := h.scrapeHead(r.Context(), m)
		if err == nil {
			err = c.add(text)
		}
		if err != nil {
			c.note("head %s: %s", m.ID, status.Convert(err).Message())
		}
	}
	_, _ = gather(r.Context(), h, func(ctx context.Context, i *proto.NodeInfo, n proto.NodeClient) (struct{}, error) {
		text, err := readMetrics(n.Metrics(ctx, &proto.MetricsRequest{}))
		if err == nil {
			err = c.add(text)
		}
		c.scraped(ids.NodeID(i.Id).String(), err)
		return struct{}{}, nil
	})
	text, err := c.text()
	writeMetrics(w, text, err)
}

// clusterMetrics is an exposition that is made of many.
type clusterMetrics struct {
	mu    sync.Mutex
	all   *metrics.Exposition
	bytes int
	up    bytes.Buffer // gray_node_scraped
	notes bytes.Buffer
}

func (c *clusterMetrics) add(text []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bytes += len(text); c.bytes > maxClusterMetrics {
		return fmt.Errorf("it has no room any more: the metrics of the cluster are over %d bytes; have nodes scraped one by one", maxClusterMetrics)
	}
	return c.all.Read(bytes.NewReader(text))
}

// scraped notes whether a node's metrics are there.
func (c *clusterMetrics) scraped(node string, err error) {
	c.mu.Lock()
	there := 1
	if err != nil {
		there = 0
	}
	fmt.Fprintf(&c.up, "%s{node=%q} %d\n", scrapedGauge.Name, node, there)
	c.mu.Unlock()
	if err != nil {
		c.note("node %s: %s", node, status.Convert(err).Message())
	}
}

// note says in a comment what isn't there.
func (c *clusterMetrics) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(&c.notes, "# not here: %s\n", oneLine(fmt.Sprintf(format, args...)))
}

func (c *clusterMetrics) text() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	up := fmt.Sprintf("# HELP %s %s\n# TYPE %[1]s gauge\n%[3]s", scrapedGauge.Name, scrapedGauge.Help, c.up.Bytes())
	if err := c.all.Read(bytes.NewReader([]byte(up))); err != nil {
		return nil, err
	}
	if n := c.all.LeftOut(); n > 0 {
		fmt.Fprintf(&c.notes, "# not here: %d series whose names are of another kind to others\n", n)
	}
	if err := c.all.Write(&c.notes); err != nil {
		return nil, err
	}
	return c.notes.Bytes(), nil
}

// oneLine keeps a comment from being more than that.
func oneLine(s string) string {
	return string(bytes.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, []byte(s)))
}

// target is an entry of Prometheus' HTTP service discovery.
type target struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// getTargets lists all heads and nodes as Prometheus can scrape them: through this head.
func (h *Head) getTargets(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	var out []target
	add := func(kind, name string) {
		out = append(out, target{[]string{r.Host}, map[string]string{
			"__scheme__": scheme, "__metrics_path__": metricsPath + "/" + kind + "s/" + name, "instance": name, "gray_role": kind,
		}})
	}
	for _, m := range h.consensus.members() {
		add("head", string(m.ID))
	}
	for _, i := range h.leader.infos() {
		add("node", ids.NodeID(i.Id).String())
	}
	writeJSON(w, http.StatusOK, out)
}
