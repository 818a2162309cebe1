package node

import (
	"slices"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/recorder"
)

const (
	maxRecords = 128 << 10 // of ended processes: 16 MiB
	// jobRecords is how many of them a job may have at others' cost.
	jobRecords = maxRecords * 3 / 4
	// runRecords is how many records at most are dropped together.
	runRecords = 1024
)

// keptRecords are records of processes that have ended, maxRecords at most. Who comes last
// displaces the oldest, or those of its own job if that has more than jobRecords.
type keptRecords struct {
	runs  []recordRun    // the process that ended last at the end
	count int            // of records
	of    map[uint32]int // by job
}

// recordRun is records of one process that follow each other, the oldest first.
type recordRun struct {
	owner   ids.ProcessID
	job     uint32
	records []recorder.Record
}

// add keeps the records of a process that has ended.
func (k *keptRecords) add(owner ids.ProcessID, job uint32, records []recorder.Record) {
	if len(records) == 0 {
		return
	}
	if k.of == nil {
		k.of = map[uint32]int{}
	}
	for part := range slices.Chunk(records, runRecords) {
		k.runs = append(k.runs, recordRun{owner, job, slices.Clone(part)})
	}
	k.count += len(records)
	k.of[job] += len(records)
	for k.count > maxRecords {
		oldest := 0
		if k.of[job] > jobRecords {
			oldest = slices.IndexFunc(k.runs, func(r recordRun) bool { return r.job == job })
		}
		k.drop(oldest)
	}
}

func (k *keptRecords) drop(i int) {
	r := k.runs[i]
	k.count -= len(r.records)
	if k.of[r.job] -= len(r.records); k.of[r.job] == 0 {
		delete(k.of, r.job)
	}
	if i == 0 {
		k.runs[0] = recordRun{}
		k.runs = k.runs[1:]
		return
	}
	k.runs = slices.Delete(k.runs, i, i+1)
}

// newestFirst calls take with the records in scope.
func (k *keptRecords) newestFirst(s scope, take func(*recordRun, *recorder.Record)) {
	for i := range slices.Backward(k.runs) {
		run := &k.runs[i]
		if s.holds(run.owner, run.job) {
			for j := range slices.Backward(run.records) {
				take(run, &run.records[j])
			}
		}
	}
}
