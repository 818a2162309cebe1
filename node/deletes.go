package node

import (
	"sync"

	"github.com/gray-runtime/gray/internal/ids"
)

// maxDeletes is how many objects one request deletes.
const maxDeletes = 10_000

// deletes gathers what is to be deleted on other nodes: one request a node is
// under way at a time, and takes all that came meanwhile.
type deletes struct {
	n  *Node
	mu sync.Mutex
	to map[ids.NodeID]*deletion
}

type deletion struct {
	objects []ids.ObjectID
	running bool
}

func (d *deletes) add(node ids.NodeID, objects []ids.ObjectID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.to[node]
	if t == nil {
		t = &deletion{}
		d.to[node] = t
	}
	t.objects = append(t.objects, objects...)
	if !t.running {
		t.running = true
		d.n.spawn(func() { d.run(node, t) })
	}
}

func (d *deletes) run(node ids.NodeID, t *deletion) {
	for {
		d.mu.Lock()
		k := min(len(t.objects), maxDeletes)
		batch := t.objects[:k:k]
		t.objects = t.objects[k:]
		if k == 0 || d.n.ctx.Err() != nil {
			delete(d.to, node)
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		d.n.deleteStored(node, batch)
	}
}
