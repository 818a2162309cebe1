package objectstore

import (
	"context"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/gray-runtime/gray/internal/ids"
)

// roleEnv, in the environment of the test binary, makes it another process of
// the node instead of a test.
const roleEnv = "GRAY_OBJECTSTORE_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		os.Exit(child(role))
	}
	goleak.VerifyTestMain(m)
}

func object(n int) ids.ObjectID {
	return ids.ObjectID{Cluster: 7, Owner: process(1), Number: uint64(n)}
}

func process(n int) ids.ProcessID { return ids.ProcessID{Node: 3, Number: uint32(n)} }

func open(t testing.TB, capacity int64) *Store {
	t.Helper()
	s, err := Open(Config{Capacity: capacity})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// ended is a context that doesn't let anything wait.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// put makes a sealed object.
func put(t testing.TB, s *Store, id ids.ObjectID, size int64) Extent {
	t.Helper()
	e, err := s.Create(ended(), id, size, process(1))
	if err == nil {
		err = s.Seal(id, process(1))
	}
	if err != nil {
		t.Fatal(err)
	}
	return e
}
