package embed

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/gray-runtime/gray/head"
	"github.com/gray-runtime/gray/internal/daemon"
	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/node"
	"github.com/gray-runtime/gray/node/logs"
)

func startService(ctx context.Context, role string, cfg daemon.Config, rec *record, log *slog.Logger) outcome {
	if role == daemon.RoleHead {
		return startHead(ctx, cfg, log)
	}
	return startNode(ctx, cfg, rec, log)
}

func startHead(ctx context.Context, cfg daemon.Config, log *slog.Logger) outcome {
	h, err := head.Start(ctx, head.Config{
		DataDir: cfg.DataDir, IP: cfg.IP, Port: cfg.Port, HTTPPort: cfg.HTTPPort, AllowedHosts: cfg.HTTPAllowedHosts, Join: cfg.Join, Token: cfg.Token,
		Logger: log, LogFile: cfg.LogFile, Version: cfg.Version,
	})
	if err != nil {
		return outcome{err: err}
	}
	return outcome{service: h, info: daemon.Info{
		Cluster: h.ClusterID().String(), Address: h.Address(), HTTPAddress: h.HTTPAddress(), Token: h.Token().String(),
		Heads: h.Heads(), Waiting: h.Waiting(),
	}}
}

func startNode(ctx context.Context, cfg daemon.Config, rec *record, log *slog.Logger) outcome {
	token, err := pki.ParseToken(cfg.Token)
	if err != nil {
		return outcome{err: fmt.Errorf("token: %w", err)}
	}
	n, err := node.Start(ctx, node.Config{
		DataDir: cfg.DataDir, RunDir: cfg.RunDir, HeadAddress: cfg.HeadAddress, Heads: cfg.Heads, Token: token, IP: cfg.IP,
		Resources: cfg.Resources, Labels: cfg.Labels, StoreBytes: cfg.StoreBytes, SpillDirs: cfg.SpillDirs, IsHead: cfg.IsHead,
		LogFile: cfg.LogFile, Logs: logs.Limits{Age: cfg.LogMaxAge, Bytes: cfg.LogMaxBytes},
		Logger: log, OnHeads: rec.setHeads, MemoryThreshold: cfg.MemoryThreshold, MemoryLimit: cfg.MemoryLimit,
		MetricsAddress: cfg.MetricsAddress,
	})
	if err != nil {
		return outcome{err: err}
	}
	return outcome{service: n, info: daemon.Info{
		Cluster: n.ClusterID().String(), Address: cfg.HeadAddress, Node: uint32(n.ID()), NodeAddress: n.Address(), Socket: n.Socket(),
		IsHead: cfg.IsHead, Metrics: n.MetricsAddress(),
	}}
}
