package refs

import (
	"testing"

	"github.com/gray-runtime/gray/internal/ids"
)

// TestActorsAreCounted: an actor is to be ended when the last of its owner, other
// processes, nodes and values lets go of it, once.
func TestActorsAreCounted(t *testing.T) {
	scene(t, func(t *testing.T, d *Directory, n *notes) {
		held := ids.ObjectID(object(process1(1), 5).AsActor())
		must(t)(d.BorrowBy(process1(1), held)) // the owner's word that it has it
		d.ReleaseBy(process1(1), held)
		n.expect(t, "unreferenced "+held.String(), "drop 4611686018427387909 of n1.p1")

		shared, value := ids.ObjectID(object(process1(1), 6).AsActor()), object(process1(2), 1)
		must(t)(d.BorrowBy(process1(1), shared))
		must(t)(d.BorrowBy(process1(2), shared))
		if err := d.BorrowedBy(2, 1, shared, value); err != nil {
			t.Fatal(err)
		}
		must(t)(d.Publish(process1(2), stored(value, []ids.ObjectID{shared}, 2)))
		n.forget() // what the owners were asked for
		d.ProcessDied(process1(1))
		d.ReleaseBy(process1(2), shared)
		if err := d.UnborrowedBy(2, 2, shared); err != nil {
			t.Fatal(err)
		}
		n.expect(t)
		d.ReleaseBy(process1(2), value)
		if err := d.UnborrowedBy(2, 3, value); err != nil {
			t.Fatal(err)
		}
		n.expect(t, "unreferenced "+shared.String(), "drop 1 of n1.p2", "delete 1 on n1", "delete 1 on n2")
	})
}

// TestActorOfADeadProcess: an actor that only its creator held ends with it.
func TestActorOfADeadProcess(t *testing.T) {
	scene(t, func(t *testing.T, d *Directory, n *notes) {
		id := ids.ObjectID(object(process1(1), 5).AsActor())
		must(t)(d.BorrowBy(process1(1), id))
		d.ProcessDied(process1(1))
		n.expect(t, "unreferenced "+id.String())
	})
}
