package recorder

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Capacities in records. Memory is taken as it's written to.
const (
	DriverRecords = 128 << 10 // 16 MiB
	WorkerRecords = 16 << 10  // 2 MiB
)

// ErrLayout is returned for memory that isn't a recorder's.
var ErrLayout = errors.New("not a recorder's memory")

// The memory: a header, the table of counts, and the ring.
const (
	magic = 0x31726563_79617267 // grayrec1

	usedAt     = 64 // which places of the table are taken, a bit each
	headerSize = usedAt + functions/8
	// functions have counts of their own; what comes later is counted together, in the
	// first place.
	functions  = 512
	waitAt     = 1 + int(Outcomes) + 2
	countWords = waitAt + 2*Buckets
	countSize  = countWords * 8
	ringAt     = (headerSize + functions*countSize + recordSize - 1) &^ (recordSize - 1)
)

// Ring is a process's records, in memory that it shares with its node.
type Ring struct {
	mem      []byte
	capacity uint64 // a power of two
}

// New makes the memory of a ring, as a file that can be given to a process. Its records
// are a power of two.
func New(records int) (*os.File, error) {
	fd, err := unix.MemfdCreate("gray-records", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a recorder's memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "gray-records")
	if err := f.Truncate(int64(ringAt + records*recordSize)); err != nil {
		f.Close()
		return nil, fmt.Errorf("make a recorder's memory: %w", err)
	}
	var head [16]byte
	*(*uint64)(unsafe.Pointer(&head[0])) = magic
	*(*uint64)(unsafe.Pointer(&head[8])) = uint64(records)
	if _, err := f.WriteAt(head[:], 0); err != nil {
		f.Close()
		return nil, fmt.Errorf("make a recorder's memory: %w", err)
	}
	return f, nil
}

// Open maps the memory of a ring. The file isn't needed any more then.
func Open(f *os.File) (*Ring, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("map a recorder's memory: %w", err)
	}
	if info.Size() < int64(ringAt) {
		return nil, fmt.Errorf("map a recorder's memory: %w", ErrLayout)
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map a recorder's memory: %w", err)
	}
	r := &Ring{mem: mem}
	r.capacity = *r.word(8)
	if *r.word(0) != magic || r.capacity == 0 || r.capacity&(r.capacity-1) != 0 || r.capacity > uint64(len(mem)-ringAt)/recordSize {
		unix.Munmap(mem)
		return nil, fmt.Errorf("map a recorder's memory: %w", ErrLayout)
	}
	return r, nil
}

// Close unmaps the memory. Nobody may use the ring any more.
func (r *Ring) Close() { unix.Munmap(r.mem) }

func (r *Ring) word(at int) *uint64 { return (*uint64)(unsafe.Pointer(&r.mem[at])) }

func (r *Ring) slot(i uint64) *[words]uint64 {
	return (*[words]uint64)(unsafe.Pointer(&r.mem[ringAt+int(i&(r.capacity-1))*recordSize]))
}

// Written is how many records were ever written.
func (r *Ring) Written() uint64 { return atomic.LoadUint64(r.word(16)) }

// Add writes a record and counts it. Any goroutine may.
func (r *Ring) Add(rec *Record) {
	r.Write(rec)
	r.count(rec)
}

// Write writes a record that something else counts. Any goroutine may.
func (r *Ring) Write(rec *Record) { r.Put(r.Reserve(1), rec) }

// Reserve takes the numbers of n records that are about to be Put, and returns the first.
func (r *Ring) Reserve(n int) (first uint64) {
	return atomic.AddUint64(r.word(16), uint64(n)) - uint64(n)
}

// Put writes the record with a reserved number.
func (r *Ring) Put(i uint64, rec *Record) {
	s := r.slot(i)
	inOrder(&s[0], 0)
	rec.put(s)
	inOrder(&s[0], i+1)
}

// Read calls take with the records from number from on that are still there, the oldest
// first, until it returns false. It returns the number to go on from. The record is take's
// until it returns.
func (r *Ring) Read(from uint64, take func(i uint64, rec *Record) bool) uint64 {
	end := r.Written()
	if end > r.capacity {
		from = max(from, end-r.capacity)
	}
	var w [words]uint64
	var rec Record
	for ; from < end; from++ {
		s := r.slot(from)
		if atomic.LoadUint64(&s[0]) != from+1 {
			continue // replaced, or being written
		}
		for i := 1; i < words; i++ {
			w[i] = atomic.LoadUint64(&s[i])
		}
		if atomic.LoadUint64(&s[0]) != from+1 {
			continue
		}
		if rec.get(&w); !take(from, &rec) {
			return from + 1
		}
	}
	return from
}

// count adds a record to its function's counts.
func (r *Ring) count(rec *Record) {
	c := r.place(rec.Function)
	atomic.AddUint64(&c[1+int(rec.Outcome)], 1)
	wait, run := rec.Wait(), rec.Run()
	atomic.AddUint64(&c[1+int(Outcomes)], uint64(wait))
	atomic.AddUint64(&c[2+int(Outcomes)], uint64(run))
	atomic.AddUint64(&c[waitAt+BucketOf(wait)], 1)
	if rec.Began >= 0 {
		atomic.AddUint64(&c[waitAt+Buckets+BucketOf(run)], 1)
	}
}

func (r *Ring) counts(i int) *[countWords]uint64 {
	return (*[countWords]uint64)(unsafe.Pointer(&r.mem[headerSize+i*countSize]))
}

// place finds a function's counts, or takes a free place for them.
func (r *Ring) place(function uint64) *[countWords]uint64 {
	for probe := uint64(0); probe < 8 && function != 0; probe++ {
		i := 1 + (function+probe)%(functions-1)
		c := r.counts(int(i))
		have := atomic.LoadUint64(&c[0])
		if have == 0 {
			r.use(i)
			atomic.CompareAndSwapUint64(&c[0], 0, function)
			have = atomic.LoadUint64(&c[0])
		}
		if have == function {
			return c
		}
	}
	r.use(0)
	return r.counts(0)
}

// use notes that a place is about to be taken.
func (r *Ring) use(i uint64) {
	if w, bit := r.word(usedAt+int(i/64)*8), uint64(1)<<(i%64); atomic.LoadUint64(w)&bit == 0 {
		atomic.OrUint64(w, bit)
	}
}

// used yields the places that are taken: to read others, too, would give each process pages
// of memory for them.
func (r *Ring) used(yield func(*[countWords]uint64) bool) {
	for at := range functions / 64 {
		for mask := atomic.LoadUint64(r.word(usedAt + at*8)); mask != 0; mask &= mask - 1 {
			if !yield(r.counts(at*64 + bits.TrailingZeros64(mask))) {
				return
			}
		}
	}
}

// Ended is how many attempts were counted.
func (r *Ring) Ended() (n uint64) {
	for w := range r.used {
		for o := range Outcomes {
			n += atomic.LoadUint64(&w[1+o])
		}
	}
	return n
}

func durationAt(w *[countWords]uint64, i int) time.Duration {
	return time.Duration(atomic.LoadUint64(&w[i]))
}

// Counts returns what was counted, a row a function, and drops nothing.
func (r *Ring) Counts() []Counts {
	var out []Counts
	for w := range r.used {
		c := Counts{Function: atomic.LoadUint64(&w[0])}
		for o := range c.Ended {
			c.Ended[o] = atomic.LoadUint64(&w[1+o])
		}
		if c.Total() == 0 {
			continue
		}
		c.WaitSum, c.RunSum = durationAt(w, 1+int(Outcomes)), durationAt(w, 2+int(Outcomes))
		for b := range Buckets {
			c.Wait[b] = atomic.LoadUint64(&w[waitAt+b])
			c.Run[b] = atomic.LoadUint64(&w[waitAt+Buckets+b])
		}
		out = append(out, c)
	}
	return out
}
