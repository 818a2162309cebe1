package fsm

import (
	"errors"
	"math"
	"testing"

	"github.com/gray-runtime/gray/proto"
)

func TestSkipNumbers(t *testing.T) {
	m := newMachine(t)
	old := m.node("a")
	if err := m.s.SkipNumbers(100); err != nil {
		t.Fatal(err)
	}
	if id := m.node("b"); id != old+101 {
		t.Errorf("node %d after %d", id, old)
	}
	if r := m.must(&Command_SubmitJob{&SubmitJob{Spec: &proto.JobSpec{SubmissionId: "one", Entrypoint: "x"}}}); r.Id != 101 {
		t.Errorf("the first job is %d", r.Id)
	}
	if err := m.s.SkipNumbers(math.MaxUint32 - 100); !errors.Is(err, ErrSnapshot) {
		t.Errorf("beyond the last number: %v", err)
	}
}
