package fsm

import (
	"errors"
	"strings"
	"testing"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/proto"
)

func TestEncodeRefusesVersionsItDoesNotKnow(t *testing.T) {
	for _, version := range []uint32{0, Version + 1} {
		if _, err := Encode(&Command{Version: version, Body: &Command_PutKey{&PutKey{Key: "k"}}}); !errors.Is(err, ErrEncode) {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

func TestDecodeRefusesTheUnknown(t *testing.T) {
	for _, b := range [][]byte{nil, []byte("junk"), {8, Version + 1}, {8, Version}} {
		if c, err := Decode(b); !errors.Is(err, ErrCommand) {
			t.Errorf("%q is %v, %v", b, c, err)
		}
	}
	b, err := protobuf.Marshal(&Command{Version: 4, Body: &Command_PutKey{&PutKey{Key: "k"}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Decode(b)
	if !errors.Is(err, ErrCommand) || !strings.Contains(err.Error(), "command of version 4, this gray knows up to 3: upgrade this head") {
		t.Errorf("%v", err)
	}
	if c, err := DecodeUpTo(b, 4); err != nil || c.GetPutKey().GetKey() != "k" {
		t.Errorf("%v, %v", c, err)
	}
}

func TestVersionIsRaisedOnly(t *testing.T) {
	raise := func(version uint32) Body { return &Command_RaiseVersion{&RaiseVersion{Version: version}} }
	m := newMachineOf(t, 0)
	if m.s.Version() != 1 {
		t.Fatalf("a cluster of old begins at version %d", m.s.Version())
	}
	if r := m.must(raise(1)); !r.Existed {
		t.Errorf("the same: %v", r)
	}
	if r := m.must(raise(2)); r.Existed || m.s.Version() != 2 {
		t.Errorf("raised: %v, version %d", r, m.s.Version())
	}
	if r := m.must(raise(1)); !r.Existed || m.s.Version() != 2 {
		t.Errorf("lowered: %v, version %d", r, m.s.Version())
	}
	r, _ := m.s.Apply(&Command{Version: 2, Body: raise(3)})
	if r.GetError().GetKind() != proto.Error_INVALID || m.s.Version() != 2 {
		t.Errorf("a command that a head of version 2 reads raised the version to %d: %v", m.s.Version(), r)
	}
	if newMachine(t).s.Version() != Version {
		t.Error("a new cluster isn't of its first head's version")
	}
	r, _ = New().Apply(&Command{Version: 1, Body: &Command_Init{&Init{Cluster: 7, Authority: []byte("ca"), Token: "token", Version: 2}}})
	if r.GetError().GetKind() != proto.Error_INVALID {
		t.Errorf("a command of version 1 began a cluster of version 2: %v", r)
	}
}

// TestVersion1KnowsNoFence: heads of version 1 don't read the fields of version 2.
func TestVersion1KnowsNoFence(t *testing.T) {
	m := newMachineOf(t, 1)
	put := &Command{Client: "c", Sequence: 1, Done: 9, Node: 9, Body: &Command_PutKey{&PutKey{Key: "k"}}}
	if r := m.request(put); r.Error != nil {
		t.Errorf("%v", r)
	}
	if _, ok := m.s.Key("", "k"); !ok {
		t.Error("it had no effect")
	}
}

func TestDeadNodesProcessesHaveNoEffect(t *testing.T) {
	m := newMachine(t)
	n := m.node("a")
	submit := func(sequence uint64, name string, node uint32) *Result {
		return m.request(&Command{Client: "c", Sequence: sequence, Node: node, Body: &Command_SubmitJob{&SubmitJob{
			Spec: &proto.JobSpec{SubmissionId: name, Entrypoint: "x"},
		}}})
	}
	first := submit(1, "a", n)
	m.must(&Command_NodeDied{&NodeDied{Node: n, Cause: "fire"}})
	if again := submit(1, "a", n); first.Error != nil || !protobuf.Equal(first, again) {
		t.Errorf("what the node asked for while it lived: %v, then %v", first, again)
	}
	for text, node := range map[string]uint32{
		"node n1 was declared dead: fire; what its processes ask for has no effect":   n,
		"node n9 isn't one of this cluster; what its processes ask for has no effect": 9,
	} {
		r := submit(2, "b", node)
		if r.GetError().GetKind() != proto.Error_NODE_DIED || r.Error.Message != text || m.s.FindJob("b") != nil || len(m.event) != 0 {
			t.Errorf("node %d: %v", node, r)
		}
	}
	if r := submit(2, "b", 0); r.Error != nil { // the refusals weren't kept
		t.Errorf("%v", r)
	}
}
