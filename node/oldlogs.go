package node

import (
	"path/filepath"
	"time"

	"github.com/gray-runtime/gray/node/logs"
)

// sweepLogsEvery is how often logs of what has ended are looked through.
const sweepLogsEvery = 5 * time.Minute

// sweepLogs removes logs of processes that have ended, when they're too old or too large
// together, until the node ends.
func (n *Node) sweepLogs() {
	for {
		var using map[string]bool
		removed, err := logs.Sweep(n.logPath(""), n.cfg.Logs, time.Now(), func(name string) bool {
			if using == nil { // since the folder was read
				using = n.logsInUse()
			}
			return using[name]
		})
		switch {
		case err != nil:
			n.log.Warn("old logs aren't removed", "error", err)
		case removed > 0:
			n.log.Info("old logs were removed", "logs", removed)
		}
		if !n.pause(sweepLogsEvery) {
			return
		}
	}
}

// logsInUse are the names of the logs that somebody writes.
func (n *Node) logsInUse() map[string]bool {
	using := map[string]bool{filepath.Base(n.cfg.LogFile): true, "head.log": true, "node.log": true}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.processes {
		if p.log != nil && p.log.File != nil {
			using[filepath.Base(p.log.Path())] = true
		}
	}
	for _, j := range n.jobs {
		if s := j.submitted; s != nil && s.file != nil {
			using[filepath.Base(s.file.Path())] = true
		}
	}
	return using
}
