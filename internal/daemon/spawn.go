package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Spawned is a daemon between its launch and its being ready.
type Spawned struct {
	*Child
	Dir string // its run folder
}

// Spawn launches a daemon that outlives the caller (or, with a lifeline, ends
// with it) and waits for its Config. Its logs go below dataDir.
func Spawn(role, dataDir string, lifeline bool) (*Spawned, error) {
	logs := filepath.Join(dataDir, "logs")
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	dir, lock, err := newInstance(role)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	c, err := Start(Launch{
		Role: role, Detach: !lifeline, Lock: lock, Dir: "/",
		ErrorFile: filepath.Join(logs, role+".err"),
	})
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return &Spawned{Child: c, Dir: dir}, nil
}

// Run gives the daemon its Config, waits until it's ready, and lets go of it.
// A daemon that doesn't get ready is ended, with its folder.
func (s *Spawned) Run(ctx context.Context, cfg Config) (Info, error) {
	s.complete(&cfg)
	info, err := Info{}, s.Configure(cfg)
	if err == nil {
		info, err = s.Ready(ctx)
	}
	if err != nil {
		s.Abandon()
		if start, ok := err.(*StartError); ok { //nolint:errorlint // made two lines above, never wrapped
			start.LogFile = cfg.LogFile
		}
		return Info{}, err
	}
	info.Dir = s.Dir
	return info, nil
}

// RunUnattended gives the daemon its Config and leaves it to get ready by and by.
func (s *Spawned) RunUnattended(cfg Config) error {
	s.complete(&cfg)
	cfg.Unattended = true
	if err := s.Configure(cfg); err != nil {
		s.Abandon()
		return err
	}
	return nil
}

// complete adds to a Config what the launch has decided.
func (s *Spawned) complete(cfg *Config) {
	cfg.Role, cfg.RunDir, cfg.Record = s.Role, s.Dir, true
	cfg.LogFile = filepath.Join(cfg.DataDir, "logs", s.Role+".log")
}

// Abandon ends a daemon that isn't wanted any more and removes its folder.
func (s *Spawned) Abandon() {
	s.Kill()
	<-s.Exited()
	os.RemoveAll(s.Dir)
}
