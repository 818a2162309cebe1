package ids

import (
	"bytes"
	"math"
	"testing"
	"testing/quick"
)

func object(cluster, node, process uint32, number uint64) ObjectID {
	return ObjectID{Cluster: ClusterID(cluster), Owner: ProcessID{Node: NodeID(node), Number: process}, Number: number}
}

// TestObjectIDForms: both forms can be read back, and differ for different ids.
func TestObjectIDForms(t *testing.T) {
	check := func(cluster, node, process uint32, number uint64) bool {
		o := object(cluster, node, process, number)
		b := o.Bytes()
		binary, err := ObjectIDFrom(append(b, "more"...))
		if err != nil || len(b) != Size || binary != o || !bytes.Equal(o.Append([]byte("x"))[1:], b) {
			t.Logf("%+v: binary %+v, %v", o, binary, err)
			return false
		}
		text, err := ParseObjectID(o.String())
		actor, aerr := ActorIDFrom(ActorID(o).Bytes())
		return err == nil && text == o && aerr == nil && ObjectID(actor) == o && actor.String() == o.String()
	}
	if err := quick.Check(check, nil); err != nil {
		t.Error(err)
	}
	if !check(0, 0, 0, 0) || !check(math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint64) {
		t.Error("a limit doesn't come back")
	}
}

func TestText(t *testing.T) {
	for want, got := range map[string]string{
		"0000002a":               ClusterID(42).String(),
		"n3":                     NodeID(3).String(),
		"j4":                     JobID(4).String(),
		"n3.p5":                  ProcessID{Node: 3, Number: 5}.String(),
		"0000002a-3-10-ff":       object(42, 3, 16, 255).String(),
		"ffffffff-ffffffff-0-0":  object(math.MaxUint32, math.MaxUint32, 0, 0).String(),
		"00000000-0-0-100000000": ActorID(object(0, 0, 0, 1<<32)).String(),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestZero(t *testing.T) {
	if !(ObjectID{}).IsZero() || !(ActorID{}).IsZero() || !(ProcessID{}).IsZero() {
		t.Error("the zero value names something")
	}
	if object(0, 0, 0, 1).IsZero() || ActorID(object(1, 0, 0, 0)).IsZero() || (ProcessID{Number: 1}).IsZero() {
		t.Error("an id names nothing")
	}
}

func TestBadIDs(t *testing.T) {
	for n := range Size {
		if _, err := ObjectIDFrom(make([]byte, n)); err == nil {
			t.Errorf("%d bytes are an id", n)
		}
		if _, err := ActorIDFrom(make([]byte, n)); err == nil {
			t.Errorf("%d bytes are an actor's id", n)
		}
	}
	for _, s := range []string{
		"", "-", "2a-3-10-ff", "0000002A-3-10-ff", "0000002a-3-10", "0000002a-3-10-ff-1", "0000002a-03-10-ff",
		" 0000002a-3-10-ff", "0000002a-3-10-ff ", "0000002a-3-10-0xff", "0000002a-3-10-+ff", "0000002a-3-100000000-ff",
	} {
		if o, err := ParseObjectID(s); err == nil {
			t.Errorf("%q is %v", s, o)
		}
	}
}

// FuzzParseObjectID: what is read is written again as it was.
func FuzzParseObjectID(f *testing.F) {
	f.Add("0000002a-3-10-ff")
	f.Add("ffffffff-ffffffff-ffffffff-ffffffffffffffff")
	f.Fuzz(func(t *testing.T, s string) {
		if o, err := ParseObjectID(s); err == nil && o.String() != s {
			t.Errorf("%q is %v", s, o)
		}
	})
}

// FuzzObjectIDFrom: every Size bytes are an id, and no fewer.
func FuzzObjectIDFrom(f *testing.F) {
	f.Add(object(1, 2, 3, 4).Bytes())
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := ObjectIDFrom(b)
		if (err == nil) != (len(b) >= Size) || err == nil && !bytes.Equal(o.Bytes(), b[:Size]) {
			t.Errorf("%x: %v, %v", b, o, err)
		}
	})
}

// TestMarks: what a number says of its object changes nothing else of the name.
func TestMarks(t *testing.T) {
	o := object(1, 2, 3, 4)
	a := ObjectID(o.AsActor())
	if o.Actor() || !a.Actor() || a.Replicated() || a.Owner != o.Owner || a == o {
		t.Errorf("%v as an actor is %v", o, a)
	}
	if r := o.AsReplicated(); !r.Replicated() || r.Actor() {
		t.Errorf("%v replicated is %v", o, r)
	}
	if back, err := ActorIDFrom(a.Bytes()); err != nil || back != o.AsActor() {
		t.Errorf("%v, %v", back, err)
	}
}
