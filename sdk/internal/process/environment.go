package process

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/gray-runtime/gray/proto"
)

// environment is what workers are to be started with for what this process submits: its own
// environment, and these variables. nil: the job's alone.
func (p *Process) environment(vars map[string]string) *proto.Environment {
	inherited := p.welcome.GetEnvironment()
	if len(vars) == 0 {
		return inherited
	}
	all := maps.Clone(inherited.GetVars())
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, vars)
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(h, "%q=%q\n", name, all[name])
	}
	return &proto.Environment{Key: hex.EncodeToString(h.Sum(nil)[:16]), Vars: all}
}
