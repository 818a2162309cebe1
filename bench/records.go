package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gray-runtime/gray/internal/embed"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
	gray "github.com/gray-runtime/gray/sdk"
)

// benchRecords gives a head the records of many actors, and kills it.
func benchRecords(ctx context.Context, b *bench) (err error) {
	n := 100_000
	if b.quick {
		n = 10_000
	}
	cluster, err := startHeads(ctx, embed.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.close(ctx)) }()
	session, err := gray.Connect(ctx, "unix:"+cluster.Sockets()[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	r := &records{b: b, cluster: cluster, n: n}
	if err := r.create(ctx); err != nil {
		return err
	}
	if err := r.restart(ctx, "records_restart_from_log"); err != nil {
		return err
	}
	if b.quick {
		return nil // snapshots come every two to four minutes
	}
	if err := r.snapshot(); err != nil {
		return err
	}
	return r.restart(ctx, "records_restart_from_snapshot")
}

type records struct {
	b       *bench
	cluster *headCluster
	n       int
	empty   resident // the head's memory before
}

// create makes actors of this driver that have to wait for a place.
func (r *records) create(ctx context.Context) error {
	const job = 1 // the cluster's first
	control := r.cluster.control[0]
	var err error
	if r.empty, err = r.settled(); err != nil {
		return err
	}
	const parts = 10 // of which the last may be slower than the first
	var rates []float64
	for part := range parts {
		var clients errgroup.Group
		clients.SetLimit(64)
		start := time.Now()
		for i := range r.n / parts {
			clients.Go(func() error {
				_, err := control.CreateActor(ctx, &proto.CreateActorRequest{Spec: actorThatWaits(job, part*r.n/parts+i)})
				return err
			})
		}
		if err := clients.Wait(); err != nil {
			return fmt.Errorf("create an actor: %w", err)
		}
		rates = append(rates, float64(r.n/parts)/time.Since(start).Seconds())
	}
	r.b.spread("records_create_actor", "1/s", rates, fmt.Sprintf("from 64 clients, a tenth of %d after another, the last at %.0f/s", r.n, rates[parts-1]))
	return r.growth("records_head_growth")
}

func actorThatWaits(job uint32, i int) *proto.ActorSpec {
	return &proto.ActorSpec{
		Id:  ids.ObjectID{Owner: ids.ProcessID{Node: 1, Number: 1 << 30}, Number: uint64(i)}.Bytes(),
		Job: job, Name: fmt.Sprint("actor", i), Class: "main.Counter", Payload: make([]byte, 64),
		Resources: &proto.Resources{Quantity: map[string]int64{"what nobody has": 10_000}},
	}
}

// resident is a process's memory, in bytes.
type resident struct{ all, own int64 } // own: without the pages of files, such as the program and the log

// settled is the head's memory when what it took to start is given back.
func (r *records) settled() (m resident, err error) {
	time.Sleep(3 * time.Second)
	pid := r.cluster.HeadPIDs()[0]
	if m.all, err = statusField(pid, "VmRSS"); err == nil {
		m.own, err = statusField(pid, "RssAnon")
	}
	return m, err
}

func (r *records) growth(metric string) error {
	now, err := r.settled()
	if err != nil {
		return err
	}
	n := float64(r.n)
	r.b.report(Metric{Metric: metric, Value: float64(now.all-r.empty.all) / n, Unit: "bytes an actor", N: r.n, Note: fmt.Sprintf(
		"resident, from %d MiB to %d MiB; %.0f bytes an actor without pages of files", r.empty.all>>20, now.all>>20, float64(now.own-r.empty.own)/n,
	)})
	return nil
}

func (r *records) restart(ctx context.Context, metric string) error {
	snapshots, err := r.snapshots()
	if err != nil {
		return err
	}
	r.cluster.KillHead(0)
	start := time.Now()
	if err := r.cluster.RestartHead(ctx, 0); err != nil {
		return err
	}
	r.b.report(Metric{
		Metric: metric, Value: time.Since(start).Seconds(), Unit: "s", N: r.n,
		Note: fmt.Sprintf("start after SIGKILL until it leads; snapshots (term-entry-time): %d %v", len(snapshots), snapshots),
	})
	return r.growth(metric + "_head_growth")
}

// snapshots are the names of the head's, TERM-INDEX-MS: the last entry that it has,
// and when it was begun.
func (r *records) snapshots() ([]string, error) {
	entries, err := os.ReadDir(r.folder())
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".tmp") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (r *records) folder() string { return filepath.Join(r.cluster.Dir(), "head0", "snapshots") }

// snapshot waits for a snapshot that has nearly all of the actors: after so few
// commands more, the head takes no other.
func (r *records) snapshot() error {
	const enough = 8192
	fmt.Fprintln(os.Stderr, "bench: the head takes its next snapshot in two to four minutes")
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Second) {
		names, err := r.snapshots()
		if err != nil {
			return err
		}
		for _, name := range names {
			var term, index, ms int64
			if _, err := fmt.Sscanf(name, "%d-%d-%d", &term, &index, &ms); err != nil {
				return fmt.Errorf("snapshot %s: %w", name, err)
			}
			if index+enough >= int64(r.n) {
				return r.describe(name, time.UnixMilli(ms), min(index, int64(r.n)))
			}
		}
	}
	return errors.New("the head has taken no snapshot in five minutes")
}

// describe reports a snapshot: its last file to be written is its description.
func (r *records) describe(name string, begun time.Time, actors int64) error {
	end, err := os.Stat(filepath.Join(r.folder(), name, "meta.json"))
	if err != nil {
		return err
	}
	state, err := os.Stat(filepath.Join(r.folder(), name, "state.bin"))
	if err != nil {
		return err
	}
	r.b.report(Metric{
		Metric: "records_snapshot", Value: end.ModTime().Sub(begun).Seconds(), Unit: "s", N: int(actors),
		Note: "written to the disk, while commands are applied",
	})
	r.b.report(Metric{Metric: "records_snapshot_size", Value: float64(state.Size()) / float64(actors), Unit: "bytes an actor", N: int(actors)})
	return nil
}
