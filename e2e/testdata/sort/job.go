// A job that sorts records made from a seed, through the object store: map tasks
// make and partition blocks of them, reduce tasks sort partitions, and the result
// is checked by its order and by a checksum against the generator's. All that
// maps have made is alive before the first reduction begins; the driver holds
// references only; a task has a block or a partition in its own memory at most.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"sort"
	"sync"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

const (
	recordSize = 100
	keySize    = 10
	// smallestRun is more than what travels in replies, in bytes: runs lie in stores.
	smallestRun = 128 << 10
)

// records is any number of them, one after another.
type records []byte

func (r records) at(i int) []byte    { return r[i*recordSize:][:recordSize:recordSize] }
func (r records) key(i int) []byte   { return r.at(i)[:keySize] }
func (r records) Len() int           { return len(r) / recordSize }
func (r records) Less(i, j int) bool { return bytes.Compare(r.key(i), r.key(j)) < 0 }

func (r records) Swap(i, j int) {
	var t [recordSize]byte
	copy(t[:], r.at(i))
	copy(r.at(i), r.at(j))
	copy(r.at(j), t[:])
}

// Sum is a checksum that the order of records doesn't change.
type Sum struct {
	Records  int64
	Sum, Xor uint64
}

func (s *Sum) add(t Sum) {
	s.Records += t.Records
	s.Sum += t.Sum
	s.Xor ^= t.Xor
}

func (s *Sum) record(r []byte) {
	h := uint64(len(r))
	for ; len(r) >= 8; r = r[8:] {
		h = bits.RotateLeft64((h^binary.LittleEndian.Uint64(r))*0x9e3779b97f4a7c15, 29)
	}
	h = (h ^ uint64(binary.LittleEndian.Uint32(r))) * 0x9e3779b97f4a7c15
	s.add(Sum{1, h, h})
}

// Plan is what is sorted.
type Plan struct {
	Bytes, Block int64 // of which the last block may have less
	Partitions   int
	Seed         uint64
}

func (p Plan) blocks() int { return int((p.Bytes + p.Block - 1) / p.Block) }

// generate makes the records of a block.
func (p Plan) generate(block int) records {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], p.Seed)
	binary.LittleEndian.PutUint64(seed[8:], uint64(block))
	r := make(records, min(p.Block, p.Bytes-int64(block)*p.Block))
	rand.NewChaCha8(seed).Read(r)
	return r
}

// partition is where a key belongs: keys are spread evenly.
func (p Plan) partition(key []byte) int {
	n, _ := bits.Mul64(binary.BigEndian.Uint64(key), uint64(p.Partitions))
	return int(n)
}

// Block is one map task.
type Block struct {
	Plan Plan
	N    int
}

// split yields a sorted run for each partition. They are a stream's items, not
// objects that the task puts, so that a lost one is made again by its task.
var split = gray.Stream(func(_ context.Context, b Block, yield func([]byte) bool) error {
	r := b.Plan.generate(b.N)
	sort.Sort(r)
	for part := range b.Plan.Partitions {
		n := sort.Search(r.Len(), func(i int) bool { return b.Plan.partition(r.key(i)) > part }) * recordSize
		if !yield(r[:n:n]) {
			break
		}
		r = r[n:]
	}
	return nil
}, gray.MaxRetries(10), gray.Spread())

// generated is the checksum of what a block has, by the generator alone.
var generated = gray.Task(func(_ context.Context, b Block) (s Sum, _ error) {
	r := b.Plan.generate(b.N)
	for i := range r.Len() {
		s.record(r.at(i))
	}
	return s, nil
}, gray.MaxRetries(10))

// Part is one reduction.
type Part struct {
	Bytes int64 // about
	Runs  []gray.Ref[[]byte]
}

// merge sorts a partition. It views one run at a time, so that no more than that
// is held in the store.
var merge = gray.Task(func(ctx context.Context, p Part) ([]byte, error) {
	all := make(records, 0, p.Bytes)
	for _, run := range p.Runs {
		err := gray.View(ctx, run, func(r []byte) error {
			all = append(all, r...)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	sort.Sort(all)
	return all, nil
}, gray.MaxRetries(10), gray.Spread())

// Sorted is a partition of the result.
type Sorted struct {
	Plan    Plan
	N       int
	Records gray.Lazy[[]byte]
}

// Checked is what one has been found to be.
type Checked struct {
	Sum         Sum
	First, Last []byte // keys
}

var check = gray.Task(func(ctx context.Context, s Sorted) (c Checked, _ error) {
	return c, gray.View(ctx, s.Records.Ref, func(data []byte) error {
		r := records(data)
		for i := range r.Len() {
			if i > 0 && r.Less(i, i-1) {
				return fmt.Errorf("partition %d: record %d is less than the one before", s.N, i)
			}
			if n := s.Plan.partition(r.key(i)); n != s.N {
				return fmt.Errorf("partition %d: record %d belongs to %d", s.N, i, n)
			}
			c.Sum.record(r.at(i))
		}
		if n := r.Len(); n > 0 {
			c.First, c.Last = bytes.Clone(r.key(0)), bytes.Clone(r.key(n-1))
		}
		return nil
	})
}, gray.MaxRetries(10))

// mapAll returns the runs of each partition.
func mapAll(ctx context.Context, p Plan) ([][]gray.Ref[[]byte], error) {
	runs := make([][]gray.Ref[[]byte], p.Partitions)
	for part := range runs {
		runs[part] = make([]gray.Ref[[]byte], p.blocks())
	}
	errs := make([]error, p.blocks())
	done := make(chan struct{})
	var streams sync.WaitGroup
	for n := range p.blocks() {
		streams.Go(func() {
			part := 0
			for run, err := range split.Remote(ctx, Block{p, n}) {
				if err != nil {
					errs[n] = fmt.Errorf("block %d: %w", n, err)
					break
				}
				runs[part][n] = run
				part++
			}
			if errs[n] == nil && part != p.Partitions {
				errs[n] = fmt.Errorf("block %d: %d runs, not %d", n, part, p.Partitions)
			}
			done <- struct{}{}
		})
	}
	for n := range p.blocks() {
		<-done
		fmt.Fprintf(os.Stderr, "mapped %d of %d\n", n+1, p.blocks())
	}
	streams.Wait()
	return runs, errors.Join(errs...)
}

// reduceAll lets go of a partition's runs once it's sorted.
func reduceAll(ctx context.Context, p Plan, runs [][]gray.Ref[[]byte]) ([]gray.Ref[[]byte], error) {
	sorted := make([]gray.Ref[[]byte], p.Partitions)
	for n := range sorted {
		sorted[n] = merge.Remote(ctx, Part{p.Bytes/int64(p.Partitions)*5/4 + 100*recordSize, runs[n]})
		runs[n] = nil
	}
	for n := range sorted {
		if _, _, err := gray.Wait(ctx, sorted, n+1); err != nil {
			return nil, err
		}
		fmt.Fprintf(os.Stderr, "reduced %d of %d\n", n+1, len(sorted))
	}
	return sorted, nil
}

// checkAll compares the result with what the generator alone makes.
func checkAll(ctx context.Context, p Plan, sorted []gray.Ref[[]byte]) (got Sum, _ error) {
	var sums []gray.Ref[Sum]
	for n := range p.blocks() {
		sums = append(sums, generated.Remote(ctx, Block{p, n}))
	}
	var checks []gray.Ref[Checked]
	for n, ref := range sorted {
		checks = append(checks, check.Remote(ctx, Sorted{p, n, gray.Lazy[[]byte]{Ref: ref}}))
	}
	parts, err := gray.GetAll(ctx, checks)
	if err != nil {
		return got, err
	}
	var last []byte
	for n, c := range parts {
		if c.Sum.Records > 0 {
			if bytes.Compare(c.First, last) < 0 {
				return got, fmt.Errorf("partition %d begins with less than what is before", n)
			}
			last = c.Last
		}
		got.add(c.Sum)
	}
	blocks, err := gray.GetAll(ctx, sums)
	if err != nil {
		return got, err
	}
	var want Sum
	for _, s := range blocks {
		want.add(s)
	}
	if got != want {
		return got, fmt.Errorf("sorted were %+v, generated %+v", got, want)
	}
	return got, nil
}

func run(ctx context.Context, p Plan) error {
	begun := time.Now()
	runs, err := mapAll(ctx, p)
	if err != nil {
		return fmt.Errorf("map: %w", err)
	}
	mapped := time.Now()
	sorted, err := reduceAll(ctx, p, runs)
	if err != nil {
		return fmt.Errorf("reduce: %w", err)
	}
	reduced := time.Now()
	sum, err := checkAll(ctx, p, sorted)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	fmt.Printf("sorted %d records, %d bytes, sum %016x, xor %016x; map %.2fs, reduce %.2fs, check %.2fs\n",
		sum.Records, sum.Records*recordSize, sum.Sum, sum.Xor,
		mapped.Sub(begun).Seconds(), reduced.Sub(mapped).Seconds(), time.Since(reduced).Seconds())
	return nil
}

func main() {
	var p Plan
	flag.Int64Var(&p.Bytes, "bytes", 64<<20, "how much is sorted")
	flag.Int64Var(&p.Block, "block", 4<<20, "how much a map task makes")
	flag.IntVar(&p.Partitions, "partitions", 16, "how many reductions there are")
	flag.Uint64Var(&p.Seed, "seed", 1, "what the records are made from")
	flag.Parse()
	gray.Main(func(ctx context.Context) error {
		p.Bytes -= p.Bytes % recordSize
		p.Block -= p.Block % recordSize
		if p.Bytes <= 0 || p.Partitions <= 0 || p.Block/int64(p.Partitions) < smallestRun {
			return fmt.Errorf("%+v: a block has %d bytes at least for each partition", p, smallestRun)
		}
		return run(ctx, p)
	})
}
