// A job with an actor that never rests: it tells a witness who it is, again and
// again. Files in a folder say what was seen, a line a time:
//
//	beats-PID  what an actor's process did, by the clock
//	witness    what the witness was told, in that order
//	answers    who answered to the actor's name, by the clock
//
// Times are nanoseconds since 1970. The job goes on until there is a file go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

const (
	beat = 5 * time.Millisecond
	// patience is how long an answer is waited for.
	patience = time.Second
)

// Word is what an actor says of itself: its process and how often it has spoken.
type Word struct{ PID, N int }

type Witness struct{ heard *os.File }

func NewWitness(_ context.Context, dir string) (*Witness, error) {
	f, err := open(dir, "witness")
	return &Witness{f}, err
}

func (w *Witness) Hear(_ context.Context, s Word) (gray.None, error) {
	_, err := fmt.Fprintln(w.heard, s.PID, s.N)
	return gray.None{}, err
}

type Start struct {
	Dir     string
	Witness gray.Handle[Witness]
}

type Restless struct{}

func NewRestless(ctx context.Context, s Start) (*Restless, error) {
	f, err := open(s.Dir, fmt.Sprintf("beats-%d", os.Getpid()))
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx)
	go func() {
		for n := 1; ; n++ {
			fmt.Fprintln(f, time.Now().UnixNano())
			gray.Call(ctx, s.Witness, (*Witness).Hear, Word{os.Getpid(), n})
			time.Sleep(beat)
		}
	}()
	return &Restless{}, nil
}

func (*Restless) PID(context.Context, gray.None) (int, error) { return os.Getpid(), nil }

var (
	witness  = gray.Actor(NewWitness)
	restless = gray.Actor(NewRestless, gray.MaxRestarts(-1))
)

func open(dir, name string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// ask finds the actor by its name and has it answer.
func ask(ctx context.Context) (pid int, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	h, err := gray.GetActor[Restless](ctx, "restless")
	if err != nil {
		return 0, err
	}
	return gray.Get(ctx, gray.Call(ctx, h, (*Restless).PID, gray.None{}))
}

func main() {
	dir := flag.String("dir", ".", "where files are")
	node := flag.Uint("node", 0, "number of the node on which the actor begins")
	flag.Parse()
	gray.Main(func(ctx context.Context) error {
		answers, err := open(*dir, "answers")
		if err != nil {
			return err
		}
		w := witness.Options(gray.OnNode(gray.Current(ctx).Node, false)).Remote(ctx, *dir)
		restless.Options(gray.Name("restless"), gray.OnNode(uint32(*node), true)).Remote(ctx, Start{*dir, w})
		for {
			if _, err := os.Stat(filepath.Join(*dir, "go")); !errors.Is(err, os.ErrNotExist) {
				return err
			}
			if pid, err := ask(ctx); err == nil {
				fmt.Fprintln(answers, time.Now().UnixNano(), pid)
			} else if ctx.Err() != nil {
				return err
			}
			time.Sleep(beat)
		}
	})
}
