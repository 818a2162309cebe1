package node

import (
	"maps"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
	"github.com/gray-runtime/gray/sched/demand"
)

// platformLabel is the label by which sched knows a node's platform; jobs select those
// that they have a binary for.
const platformLabel = "gray/platform"

// labelsOf are a node's labels for sched; old, its last ones, if they are the same.
func labelsOf(labels map[string]string, platform string, old map[string]string) map[string]string {
	same := len(old) == len(labels)+1 && old[platformLabel] == platform
	for k, v := range labels {
		same = same && old[k] == v
	}
	if same {
		return old
	}
	out := make(map[string]string, len(labels)+1)
	maps.Copy(out, labels)
	out[platformLabel] = platform
	return out
}

// placeOf is what a job's request for a lease is to sched; near is the node of its inputs, if
// its process has decided that they are worth it.
func placeOf(j *job, res account.Amounts, strategy *proto.Strategy, near ids.NodeID) sched.Demand {
	d := demand.Of(res, strategy)
	if near != 0 {
		d.Inputs = []sched.Locality{{Node: sched.NodeID(near), Bytes: sched.LocalityBytes + 1}}
	}
	runs := sched.Selector{Key: platformLabel, Op: sched.In, Values: j.platforms()}
	d.Selector = append(d.Selector, runs)
	for i := range d.Fallback {
		d.Fallback[i].Selector = append(d.Fallback[i].Selector, runs)
	}
	return d
}

// platforms are those that the job has a binary for.
func (j *job) platforms() []string {
	if len(j.spec.GetBinaries()) == 0 { // its driver's own, which runs here or came from a node like this one
		return []string{platform}
	}
	var all []string
	for _, b := range j.spec.Binaries {
		all = append(all, b.Platform)
	}
	return all
}
