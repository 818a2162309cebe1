package node

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/recorder"
)

// TestKeptRecords: whatever ends, records are bounded and found newest first, and a job that
// has many leaves others a quarter.
func TestKeptRecords(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	var k keptRecords
	number, latest := uint64(0), map[uint32]uint64{}
	end := func(job uint32, n int) {
		list := make([]recorder.Record, n)
		for i := range list {
			number++
			list[i].Number = number
		}
		k.add(ids.ProcessID{Node: 1, Number: uint32(number)}, job, list)
		if n > 0 {
			latest[job] = number
		}
	}
	found := func(s scope) (list []uint64) {
		k.newestFirst(s, func(_ *recordRun, r *recorder.Record) { list = append(list, r.Number) })
		if !slices.IsSortedFunc(list, func(a, b uint64) int { return int(b) - int(a) }) {
			t.Fatal("an older one came first")
		}
		return list
	}
	for range 300 {
		job := uint32(1 + rng.IntN(4))
		end(job, rng.IntN([]int{10, 3000, maxRecords + 1}[rng.IntN(3)]))
		all := found(scope{})
		if len(all) != k.count || k.count > maxRecords || number >= maxRecords && k.count <= maxRecords-runRecords {
			t.Fatalf("%d records of %d, counted as %d", len(all), number, k.count)
		}
		sum := 0
		for job, n := range k.of {
			of := found(scope{job: job})
			if sum += n; len(of) != n || n == 0 || of[0] != latest[job] {
				t.Fatalf("%d of job %d, counted as %d", len(of), job, n)
			}
		}
		if sum != k.count {
			t.Fatalf("%d records of all jobs, not %d", sum, k.count)
		}
	}

	k = keptRecords{}
	end(1, maxRecords)
	if k.of[1] != maxRecords {
		t.Errorf("alone a job has %d", k.of[1])
	}
	end(2, maxRecords/4)
	for range 5 {
		end(1, maxRecords)
		if fmt.Sprint(k.of) != fmt.Sprint(map[uint32]int{1: jobRecords, 2: maxRecords / 4}) {
			t.Errorf("of a job of many, and another: %v", k.of)
		}
	}
}
