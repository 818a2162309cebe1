package head

import (
	"cmp"
	"slices"
	"time"

	"github.com/gray-runtime/gray/proto"
)

// viewDelay is how long changes of the view wait for more, at least; large
// clusters wait longer, since everybody is told about everybody.
const (
	viewDelay        = 20 * time.Millisecond
	viewDelayPerNode = 500 * time.Microsecond
)

// sendView tells all nodes of all nodes, if something has changed and the last
// time was long enough ago. Otherwise it returns how long to wait; 0: no need.
func (l *leader) sendView(at time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.dirty || !l.leads {
		return 0
	}
	delay := max(viewDelay, time.Duration(len(l.members))*viewDelayPerNode)
	if wait := delay - at.Sub(l.viewSent); wait > 0 {
		return wait
	}
	l.dirty, l.viewSent = false, at
	l.version++
	order := l.viewOrderLocked()
	for _, m := range l.members {
		if m.session != nil {
			m.session.show(order)
		}
	}
	return 0
}

func (l *leader) viewOrderLocked() *proto.NodeOrder {
	return &proto.NodeOrder{Body: &proto.NodeOrder_View{View: &proto.View{
		Version: l.version, Nodes: l.infosLocked(), Heads: l.h.consensus.addresses(), Waiting: l.waitingLocked(),
	}}}
}

// infosLocked are the living nodes by number.
func (l *leader) infosLocked() []*proto.NodeInfo {
	out := make([]*proto.NodeInfo, 0, len(l.members))
	for _, m := range l.members {
		out = append(out, m.info)
	}
	slices.SortFunc(out, func(a, b *proto.NodeInfo) int { return cmp.Compare(a.Id, b.Id) })
	return out
}

// infos are the living nodes by number, as they last described themselves.
func (l *leader) infos() []*proto.NodeInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.infosLocked()
}
