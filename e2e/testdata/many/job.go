// A job of many short tasks and of many actors, which say that they ran and that
// they were made.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

type Work struct {
	Dir string
	N   int
}

// note appends a line to a file.
func note(name string, w Work) error {
	f, err := os.OpenFile(filepath.Join(w.Dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, w.N)
	return err
}

var runs = gray.Task(func(_ context.Context, w Work) (int, error) {
	time.Sleep(5 * time.Millisecond) // long enough for several heads to be killed meanwhile
	return w.N, note("ran", w)
}, gray.NumCPUs(0.5))

type Member struct{ n int }

func NewMember(_ context.Context, w Work) (*Member, error)           { return &Member{w.N}, note("made", w) }
func (m *Member) Number(_ context.Context, _ gray.None) (int, error) { return m.n, nil }

var member = gray.Actor(NewMember, gray.Spread()) // processes that all start at once

func main() {
	dir := flag.String("dir", ".", "where the files ran and made are")
	tasks := flag.Int("tasks", 0, "how many there are")
	actors := flag.Int("actors", 0, "how many there are")
	flag.Parse()
	gray.Main(func(ctx context.Context) error {
		var refs []gray.Ref[int]
		for n := range *tasks {
			refs = append(refs, runs.Remote(ctx, Work{*dir, n}))
		}
		for n := range *actors {
			refs = append(refs, gray.Call(ctx, member.Remote(ctx, Work{*dir, n}), (*Member).Number, gray.None{}))
		}
		values, err := gray.GetAll(ctx, refs)
		if err != nil {
			return err
		}
		sum := 0
		for _, v := range values {
			sum += v
		}
		fmt.Println("sum", sum)
		return nil
	})
}
