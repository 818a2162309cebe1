// A job that needs more room than its nodes' stores have. Its arguments say how:
//
//	work BYTES           makes BYTES of values, and reads them all in several ways
//	damage BYTES DIR     makes as many, damages what DIR has of them, and reads those made first
//	full                 puts values until there's no room on disk either, and goes on
//	large NODE BYTES     has a task on NODE take a value of BYTES that can't fit there
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	gray "github.com/gray-runtime/gray/sdk"
)

const size = 4 << 20

type order struct{ Seed, Size int }

func value(o order) []byte {
	b := make([]byte, o.Size)
	for i := range b {
		b[i] = byte(o.Seed + i*7 + i>>10)
	}
	return b
}

func check(b []byte, o order) error {
	if len(b) != o.Size {
		return fmt.Errorf("value %d has %d bytes", o.Seed, len(b))
	}
	for i := range b {
		if b[i] != byte(o.Seed+i*7+i>>10) {
			return fmt.Errorf("byte %d of value %d is wrong", i, o.Seed)
		}
	}
	return nil
}

var (
	produce = gray.Task(func(_ context.Context, o order) ([]byte, error) { return value(o), nil })
	first   = gray.Task(func(_ context.Context, b []byte) (int, error) { return int(b[0]), nil })
	invert  = gray.Task(func(_ context.Context, b []byte) ([]byte, error) {
		out := make([]byte, len(b))
		for i := range b {
			out[i] = ^b[i]
		}
		return out, nil
	})
	started = gray.Task(func(_ context.Context, b []byte) (int, error) {
		return 0, errors.New("the function has started")
	})
)

func main() {
	gray.Main(func(ctx context.Context) error {
		number := func(i int) int {
			n, _ := strconv.Atoi(os.Args[i])
			return n
		}
		switch os.Args[1] {
		case "work":
			return work(ctx, number(2)/size)
		case "damage":
			return damage(ctx, number(2)/size, os.Args[3])
		case "full":
			return full(ctx)
		case "large":
			return large(ctx, uint32(number(2)), number(3))
		}
		return fmt.Errorf("arguments %v", os.Args)
	})
}

// fill makes n values, half of them by tasks.
func fill(ctx context.Context, from, n int) (refs []gray.Ref[[]byte], err error) {
	for i := from; i < from+n; i++ {
		o := order{i, size}
		if i%2 == 0 {
			refs = append(refs, produce.Remote(ctx, o))
			continue
		}
		r, err := gray.Put(ctx, value(o))
		if err != nil {
			return nil, fmt.Errorf("put %d: %w", i, err)
		}
		refs = append(refs, r)
	}
	return refs, nil
}

func work(ctx context.Context, n int) error {
	refs, err := fill(ctx, 0, n)
	if err != nil {
		return err
	}
	var firsts []gray.Ref[int]
	var inverted []gray.Ref[[]byte]
	for _, r := range refs {
		firsts = append(firsts, first.RemoteRef(ctx, r))
		inverted = append(inverted, invert.RemoteRef(ctx, r))
	}
	for k := range refs {
		i := k * 7 % n
		b, err := gray.Get(ctx, refs[i])
		if err == nil {
			err = check(b, order{i, size})
		}
		if err != nil {
			return fmt.Errorf("get %d: %w", i, err)
		}
		f, err := gray.Get(ctx, firsts[i])
		if err != nil || byte(f) != byte(i) {
			return fmt.Errorf("first %d: %d, %w", i, f, err)
		}
		// What is viewed stays where it is, while more is put.
		err = gray.View(ctx, inverted[i], func(v []byte) error {
			if _, err := gray.Put(ctx, value(order{1000 + i, size})); err != nil {
				return err
			}
			for j := range v {
				if v[j] != ^b[j] {
					return fmt.Errorf("byte %d is wrong", j)
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("view %d: %w", i, err)
		}
	}
	fmt.Println("all", n, "are right")
	return nil
}

func damage(ctx context.Context, n int, dir string) error {
	made, err := fill(ctx, 0, 2) // a task's result, and a value that was put
	if err == nil {
		_, _, err = gray.Wait(ctx, made, 2)
	}
	if err != nil {
		return err
	}
	others, err := fill(ctx, 2, n)
	if err == nil {
		_, _, err = gray.Wait(ctx, others, n)
	}
	if err == nil {
		err = damageFiles(dir)
	}
	if err != nil {
		return err
	}
	b, err := gray.Get(ctx, made[0])
	if err == nil {
		err = check(b, order{0, size})
	}
	if err != nil {
		return fmt.Errorf("a task's result: %w", err)
	}
	_, err = gray.Get(ctx, made[1])
	var lost *gray.ObjectLostError
	if !errors.As(err, &lost) {
		return fmt.Errorf("a value that was put is not lost: %w", err)
	}
	fmt.Println("rebuilt; lost:", err)
	return nil
}

func damageFiles(dir string) error {
	damaged := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".spill") {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		for at := int64(0); at < info.Size(); at += 64 << 10 {
			if _, err := f.WriteAt([]byte("damage"), at); err != nil {
				return errors.Join(err, f.Close())
			}
		}
		damaged++
		return f.Close()
	})
	if err == nil && damaged == 0 {
		err = errors.New("nothing was spilled")
	}
	return err
}

func full(ctx context.Context) error {
	var refs []gray.Ref[[]byte]
	var noRoom *gray.StoreFullError
	for {
		r, err := gray.Put(ctx, value(order{len(refs), size}))
		if errors.As(err, &noRoom) {
			fmt.Println("put:", err)
			break
		}
		if err != nil {
			return err
		}
		refs = append(refs, r)
	}
	if _, err := gray.Get(ctx, produce.Remote(ctx, order{0, size})); !errors.As(err, &noRoom) {
		return fmt.Errorf("a task's result has room: %w", err)
	}
	kept := len(refs) / 2
	clear(refs[kept:])
	refs = append(refs[:kept], produce.Remote(ctx, order{kept, size}))
	for i := 0; i < len(refs); {
		runtime.GC() // what was dropped gives room
		b, err := gray.Get(ctx, refs[i])
		switch {
		case err == nil:
			if err := check(b, order{i, size}); err != nil {
				return err
			}
			i++
		case !errors.As(err, &noRoom):
			return fmt.Errorf("get %d: %w", i, err)
		case i == kept:
			refs[i] = produce.Remote(ctx, order{i, size})
		}
	}
	fmt.Println("goes on with", kept, "values")
	return nil
}

func large(ctx context.Context, node uint32, bytes int) error {
	r, err := gray.Put(ctx, value(order{1, bytes}))
	if err != nil {
		return err
	}
	_, err = gray.Get(ctx, started.Options(gray.OnNode(node, false)).RemoteRef(ctx, r))
	var noRoom *gray.StoreFullError
	if !errors.As(err, &noRoom) {
		return fmt.Errorf("the input fits: %w", err)
	}
	fmt.Println("refused:", err)
	return nil
}
