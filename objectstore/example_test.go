package objectstore_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/objectstore"
)

// A node makes a store; a worker, which has been handed its file, writes an
// object and another one reads it in place.
func Example() {
	if err := share(); err != nil {
		log.Print(err)
	}
	// Output:
	// hello at 64-byte boundary: true
	// 64 bytes used, 1 pin
	// 0 bytes used
}

func share() error {
	store, err := objectstore.Open(objectstore.Config{Capacity: 1 << 20})
	if err != nil {
		return err
	}
	defer store.Close()
	worker, reader := ids.ProcessID{Node: 1, Number: 1}, ids.ProcessID{Node: 1, Number: 2}
	id := ids.ObjectID{Cluster: 1, Owner: worker, Number: 1}

	mapping, err := objectstore.Map(store.File()) // in the worker
	if err != nil {
		return err
	}
	defer mapping.Close()

	place, err := store.Create(context.Background(), id, 5, worker)
	if err != nil {
		return err
	}
	dst, err := mapping.Write(place)
	if err != nil {
		return err
	}
	copy(dst, "hello")
	if err := store.Seal(id, worker); err != nil {
		return err
	}

	if place, ok := store.Acquire(id, reader); ok {
		view, err := mapping.Read(place)
		if err != nil {
			return err
		}
		fmt.Printf("%s at 64-byte boundary: %v\n", view, place.Offset%64 == 0)
	}
	store.Delete(id)
	fmt.Printf("%d bytes used, %d pin\n", store.Usage().Used, store.Usage().Pins)
	store.Release(id, reader)
	fmt.Printf("%d bytes used\n", store.Usage().Used)
	return nil
}
