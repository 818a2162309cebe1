package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gray-runtime/gray/internal/daemon"
)

// waitingVariable is what a fake head waits for.
const waitingVariable = "GRAY_TEST_WAITING"

// TestMain is also the daemon that the tests launch.
func TestMain(m *testing.M) {
	if role := os.Getenv(daemon.RoleVariable); role != "" {
		fakeDaemon(role)
	}
	goleak.VerifyTestMain(m)
}

// fakeDaemon does what it's told by way of daemon.Config, which it keeps in its data
// dir for the test to see. A node is ready at once unless nobody waits for that.
func fakeDaemon(role string) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	line, err := bufio.NewReader(os.Stdin).ReadBytes('\n')
	var cfg daemon.Config
	if err != nil || json.Unmarshal(line, &cfg) != nil {
		os.Exit(1)
	}
	os.WriteFile(filepath.Join(cfg.DataDir, "config.json"), line, 0o600)
	info := daemon.Info{Role: role, Cluster: "c", Address: cfg.HeadAddress, Token: cfg.Token, DataDir: cfg.DataDir, Node: 1}
	if role == daemon.RoleHead {
		info.Address, info.Waiting, info.Node = "127.0.0.1:1", os.Getenv(waitingVariable), 0
	}
	info.PID, info.Start = daemon.Self()
	if !cfg.Unattended {
		info.StartedUnix = time.Now().UnixMilli()
	}
	daemon.WriteInfo(cfg.RunDir, info)
	if !cfg.Unattended {
		json.NewEncoder(os.NewFile(daemon.ReadyFD, "ready")).Encode(info)
	}
	<-signals
	os.Exit(0)
}
