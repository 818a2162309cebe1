package node

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gray-runtime/gray/internal/metrics"
	"github.com/gray-runtime/gray/internal/pki"
)

// scrapeLimit bounds a request for metrics, and maxScrapes how many are answered at once.
const (
	scrapeLimit = 10 * time.Second
	maxScrapes  = 8
)

// metricsServer answers GET /metrics on an address of the node's own.
type metricsServer struct {
	listener net.Listener
	server   *http.Server
}

// serveMetrics begins to, if an address was given.
func (n *Node) serveMetrics() error {
	address := n.cfg.MetricsAddress
	if address == "" {
		return nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen for requests of metrics at %s: %w", address, err)
	}
	s := &metricsServer{listener: l, server: &http.Server{
		Handler: n.metricsHandler(), ReadTimeout: scrapeLimit, WriteTimeout: scrapeLimit, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
	}}
	n.scrapes = s
	serve := l
	if a, ok := l.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() { // the token isn't for a network to read
		serve = tls.NewListener(l, n.identity.ServerTLS("http/1.1"))
	}
	n.spawn(func() {
		if err := s.server.Serve(serve); !errors.Is(err, http.ErrServerClosed) {
			n.log.Error("answer requests of metrics", "error", err)
		}
	})
	return nil
}

func (n *Node) metricsHandler() http.Handler {
	places := make(chan struct{}, maxScrapes)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(kind, "Bearer") || !n.cfg.Token.Equal(pki.Token(strings.TrimSpace(token))) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "Unauthorized: send the cluster's token as \"Authorization: Bearer TOKEN\"", http.StatusUnauthorized)
			return
		}
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			http.Error(w, "too many requests at once", http.StatusServiceUnavailable)
			return
		}
		text, err := n.ownMetrics()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", metrics.ContentType)
		_, _ = w.Write(text) // the scraper may have gone
	})
	return mux
}
