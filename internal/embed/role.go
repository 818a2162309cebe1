package embed

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/gray-runtime/gray/internal/daemon"
)

// closeLimit is how long a head or node may take to end in order.
const closeLimit = 4 * time.Second

// RunRole runs a head or a node and doesn't return if the process was launched
// to be one. Otherwise it returns false at once. Every program that calls Start
// or launches daemons calls it first.
func RunRole() bool {
	role := os.Getenv(daemon.RoleVariable)
	if role != daemon.RoleHead && role != daemon.RoleNode {
		return false
	}
	os.Unsetenv(daemon.RoleVariable) // not for the node's workers
	os.Exit(serveRole(role))
	return true
}

// service is a running head or node.
type service interface {
	Done() <-chan struct{}
	Err() error // nil: it ended because it was to
	Close(ctx context.Context) error
}

// serveRole is the life of a launched process: config in, answer out, then the
// service until somebody wants it to end. It returns the exit status.
func serveRole(role string) int {
	_ = os.WriteFile("/proc/self/comm", []byte("gray-"+role), 0) // for ps and top; else it's "exe"
	syscall.CloseOnExec(daemon.ReadyFD)
	for fd := daemon.ReadyFD + 1; fd < daemon.ReadyFD+3; fd++ { // locks, if any
		syscall.CloseOnExec(fd)
	}
	ready := os.NewFile(daemon.ReadyFD, "ready")
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)

	stdin := bufio.NewReader(os.Stdin)
	line, err := stdin.ReadBytes('\n')
	if err != nil {
		return 0 // the launcher gave up before it had anything to say
	}
	var cfg daemon.Config
	if err := json.Unmarshal(line, &cfg); err != nil {
		return refuse(ready, fmt.Errorf("read configuration: %w", err))
	}
	if cfg.Remove != "" {
		if unlock, err := share(cfg.Remove); err == nil {
			defer removeLast(cfg.Remove, unlock)
		}
	}
	if err := introduce(cfg); err != nil {
		return refuse(ready, err)
	}
	logFile, err := daemon.OpenLog(cfg.LogFile)
	if err != nil {
		return refuse(ready, err)
	}
	defer logFile.Close()
	log := slog.New(slog.NewTextHandler(logFile, &slog.HandlerOptions{Level: logLevel()}))

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	gone := make(chan struct{}) // the launcher, whose lifeline we hold
	if cfg.Lifeline {
		go func() {
			io.Copy(io.Discard, stdin)
			close(gone)
		}()
	}
	outcomes := make(chan outcome, 1)
	rec := &record{log: log}
	go func() { outcomes <- startService(ctx, role, cfg, rec, log) }()
	var s service
	select {
	case r := <-outcomes:
		if r.err != nil {
			log.Error("not started", "error", r.err)
			return refuse(ready, r.err)
		}
		s = r.service
		if err := answer(ready, cfg, rec, r.info); err != nil {
			log.Error("not announced", "error", err)
			endService(s, log)
			return 1
		}
	case <-gone:
		return 0
	case sig := <-signals:
		return refuse(ready, fmt.Errorf("stopped by %v while starting", sig))
	}
	trim := time.AfterFunc(time.Second, debug.FreeOSMemory)
	defer trim.Stop()
	status := 0
	select {
	case sig := <-signals:
		log.Info("stopping", "signal", sig.String())
	case <-gone:
		log.Info("stopping: the program that started this has ended")
	case <-s.Done():
		if s.Err() == nil {
			log.Info("has left the cluster")
			break
		}
		log.Error("ended by itself")
		status = 1
	}
	go func() { // a second wish to end means now
		<-signals
		os.Exit(1)
	}()
	endService(s, log)
	return status
}

// outcome is what became of the attempt to start a service.
type outcome struct {
	service service
	info    daemon.Info
	err     error
}

func endService(s service, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		log.Warn("not stopped cleanly", "error", err)
	}
}

func logLevel() slog.Level {
	level := slog.LevelInfo
	if s := os.Getenv("GRAY_LOG"); s != "" {
		level.UnmarshalText([]byte(s)) // an unknown level leaves it
	}
	return level
}

// refuse tells the launcher why there will be no service.
func refuse(ready *os.File, err error) int {
	json.NewEncoder(ready).Encode(daemon.Info{Error: err.Error()})
	ready.Close()
	return 1
}

// introduce records which process this is, for it to be ended before it's ready.
func introduce(cfg daemon.Config) error {
	if !cfg.Record {
		return nil
	}
	return daemon.WriteInfo(cfg.RunDir, describe(cfg, daemon.Info{}))
}

// answer records the service and tells the launcher that it's ready.
func answer(ready *os.File, cfg daemon.Config, rec *record, info daemon.Info) error {
	defer ready.Close()
	info = describe(cfg, info)
	info.StartedUnix = time.Now().UnixMilli()
	dir := ""
	if cfg.Record {
		dir = cfg.RunDir
	}
	info, err := rec.begin(dir, info)
	if err != nil || cfg.Unattended {
		return err
	}
	return json.NewEncoder(ready).Encode(info)
}

// describe adds to info what a process knows of itself.
func describe(cfg daemon.Config, info daemon.Info) daemon.Info {
	info.Role, info.Version = cfg.Role, cfg.Version
	info.PID, info.Start = daemon.Self()
	info.DataDir, info.LogFile = cfg.DataDir, cfg.LogFile
	return info
}

// removeLast removes a cluster's folder if no other process uses it.
func removeLast(dir string, unlock func()) {
	unlock()
	if unlock, err := exclusive(dir); err == nil {
		os.RemoveAll(dir)
		unlock()
	}
}

// share marks dir as used by this process until unlock is called.
func share(dir string) (unlock func(), err error) { return flock(dir, syscall.LOCK_SH) }

// exclusive succeeds when no process uses dir.
func exclusive(dir string) (unlock func(), err error) { return flock(dir, syscall.LOCK_EX) }

func flock(dir string, how int) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
