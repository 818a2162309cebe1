package node

import (
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/recorder"
)

// scope says whose records are meant; zero values are all.
type scope struct{ job uint32 }

// scan calls take with the ended attempts that are still known, each once.
func (*Node) scan(scope, func(owner ids.ProcessID, job uint32, name string, r *recorder.Record)) {}
