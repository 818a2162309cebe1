package head

import (
	"testing"

	"github.com/hashicorp/raft"
)

// askForVote asks a head for its vote as another would, with a log that ends at last.
func askForVote(t testing.TB, by, of *Head, term, last uint64) bool {
	t.Helper()
	r := &raft.RequestVoteRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(by.consensus.self), Addr: []byte(by.Address())},
		Term:      term, LastLogIndex: last, LastLogTerm: term - 1, LeadershipTransfer: true,
	}
	if last == 0 {
		r.LastLogTerm = 0
	}
	var reply raft.RequestVoteResponse
	if err := by.consensus.trans.RequestVote(of.consensus.self, raft.ServerAddress(of.Address()), r, &reply); err != nil {
		t.Error(err)
	}
	return reply.Granted
}

// TestWhoRefusesStands: a head knows whether it gave its vote away.
func TestWhoRefusesStands(t *testing.T) {
	heads := startHeads(t, 3)
	by, of := heads[1], heads[2]
	eventually(t, "it refuses its vote to a log that is behind, and gives it to another", func() bool {
		last := of.consensus.raft.LastIndex()
		term := of.consensus.raft.CurrentTerm() + 1
		return !askForVote(t, by, of, term, 0) && of.consensus.refused(term) &&
			askForVote(t, by, of, term, last+1) && !of.consensus.refused(term)
	})
}

// TestKeptConnectionCostsNoVote: it led to a process that has ended since.
func TestKeptConnectionCostsNoVote(t *testing.T) {
	heads := startHeads(t, 3)
	askForVote(t, heads[1], heads[2], 1, 0)
	stopHead(t, heads[2])
	again, err := Start(t.Context(), Config{DataDir: heads[2].dir.path, Port: portOf(t, heads[2].Address()), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopHead(t, again) })
	askForVote(t, heads[1], again, 1, 0)
}
