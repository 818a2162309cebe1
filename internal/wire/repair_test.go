package wire

import (
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	graypb "github.com/gray-runtime/gray/proto"
)

// TestTextThatIsNoUTF8: a message with it travels, wherever it is, and isn't changed for who
// sent it.
func TestTextThatIsNoUTF8(t *testing.T) {
	const bad = "a\xffb"
	m := &graypb.LeaseGone{Died: &graypb.WorkerDied{Error: &graypb.Error{Message: bad, Actor: []byte{0xff}, Cause: &graypb.Error{Stack: bad}}}}
	for _, m := range []proto.Message{
		m,
		&graypb.LeaseDemand{Resources: &graypb.Resources{Quantity: map[string]int64{bad: 1, "CPU": 2}}},
		&graypb.TaskList{Tasks: []*graypb.TaskInfo{{Function: bad, WaitsFor: []string{"x", bad}}}},
		&graypb.Environment{Vars: map[string]string{"x": bad, bad: "y"}},
	} {
		b, err := appendMessage([]byte("kept"), m)
		if err != nil || string(b[:4]) != "kept" {
			t.Errorf("%T: %v", m, err)
			continue
		}
		got := m.ProtoReflect().New().Interface()
		if err := proto.Unmarshal(b[4:], got); err != nil || !utf8.ValidString(got.(interface{ String() string }).String()) {
			t.Errorf("%T: %v, %v", m, got, err)
		}
	}
	if e := m.Died.Error; e.Message != bad {
		t.Errorf("it was changed: %q", e.Message)
	}
	b, err := appendMessage(nil, m)
	got := &graypb.LeaseGone{}
	if err != nil || proto.Unmarshal(b, got) != nil {
		t.Fatal(err)
	}
	if e := got.Died.Error; e.Message != "a\uFFFDb" || e.Cause.Stack != "a\uFFFDb" || string(e.Actor) != "\xff" {
		t.Errorf("%v", e)
	}
}
