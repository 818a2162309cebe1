package node

import "github.com/gray-runtime/gray/proto"

// retireRecords takes over the records of a process that has ended. Called with mu held.
func (n *Node) retireRecords(p *process) {
	if p.records != nil {
		p.records.Close()
		p.records = nil
	}
}

// keepFailure keeps what an attempt failed with.
func (n *Node) keepFailure(*process, *proto.TaskFailure) {}
