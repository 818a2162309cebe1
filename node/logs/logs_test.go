package logs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

func TestOutputLines(t *testing.T) {
	f, err := Open(filepath.Join(t.TempDir(), "log"), DefaultLimit)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	r1, w1 := pipe(t)
	r2, w2 := pipe(t)
	var got []string
	o := Read(Config{File: f, Name: func() string { return "fn" }, Sink: func(b Batch) {
		for _, l := range b.Lines {
			got = append(got, fmt.Sprintf("%s %v %.40q", b.Name, b.Stderr, l))
		}
	}}, r1, r2)
	long := strings.Repeat("x", 3*MaxLine)
	fmt.Fprintf(w1, "one\r\ntwo\xff\n%s\nlast", long)
	w1.Close()
	w2.Close()
	<-o.Done()
	want := []string{`fn false "one"`, `fn false "two�"`, fmt.Sprintf("fn false %.40q", long), `fn false "last"`}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !strings.HasSuffix(o.Tail(), "\nlast") {
		t.Fatalf("tail %q", o.Tail())
	}
	b, _ := os.ReadFile(f.Path())
	if string(b) != "one\r\ntwo\xff\n"+long+"\nlast" {
		t.Fatalf("file has %d bytes", len(b))
	}
}

func TestOutputDropsWhenTheSinkIsSlow(t *testing.T) {
	r, w := pipe(t)
	block, first := make(chan struct{}), make(chan struct{}, 1)
	total, notice := 0, ""
	o := Read(Config{Sink: func(b Batch) {
		select {
		case first <- struct{}{}:
		default:
		}
		<-block
		for _, l := range b.Lines {
			if strings.Contains(l, "lines dropped") {
				notice = l
			} else {
				total++
			}
		}
	}}, r)
	fmt.Fprintln(w, "0")
	<-first
	const n = 3 * maxPending
	for i := range n {
		fmt.Fprintln(w, i)
	}
	w.Close()
	<-o.ended
	close(block)
	<-o.Done()
	if total >= n || total < maxPending || notice == "" {
		t.Fatalf("%d of %d lines passed, notice %q", total, n, notice)
	}
}

func TestFileRotatesAndIsFollowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := Open(path, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	var got strings.Builder
	var off int64
	buf := make([]byte, 17)
	var want strings.Builder
	for i := range 50 {
		line := fmt.Sprintf("line %02d\n", i)
		want.WriteString(line)
		f.Write([]byte(line))
		for {
			n, next, _, _, err := f.ReadFrom(buf, off)
			if err != nil {
				t.Fatal(err)
			}
			if off = next; n == 0 {
				break
			}
			got.Write(buf[:n])
		}
	}
	if got.String() != want.String() {
		t.Fatalf("followed %q", got.String())
	}
	for _, p := range []string{path, path + ".1"} {
		if info, err := os.Stat(p); err != nil || info.Size() > 100 {
			t.Fatalf("%s: %v %v", p, info, err)
		}
	}
	_, _, more, _, _ := f.ReadFrom(buf, off)
	f.Close()
	<-more
	if _, _, _, closed, _ := f.ReadFrom(buf, off); !closed {
		t.Fatal("not closed")
	}
	// A reader that starts too late begins at the oldest byte left.
	n, next, _, _, err := f.ReadFrom(buf, 0)
	if err != nil || n == 0 || next < 200 {
		t.Fatalf("read %d, next %d, %v", n, next, err)
	}
}

// TestTailIsText although it's cut at bytes.
func TestTailIsText(t *testing.T) {
	for shift := range 4 {
		r, w := pipe(t)
		o := Read(Config{}, r)
		fmt.Fprint(w, strings.Repeat("x", shift)+strings.Repeat("€", maxTailBytes))
		w.Close()
		<-o.Done()
		if tail := o.Tail(); !utf8.ValidString(tail) || len(tail) < maxTailBytes-3 {
			t.Errorf("shift %d: %d bytes, text: %v", shift, len(tail), utf8.ValidString(tail))
		}
	}
}

// FuzzLines: any output, in any parts, gives the same lines.
func FuzzLines(f *testing.F) {
	f.Add([]byte("one\r\ntwo\xff\n\nlast"), uint16(3))
	f.Add([]byte("a\n"), uint16(0)) // no long line: minimizing it would take all the time
	f.Fuzz(func(t *testing.T, b []byte, part uint16) {
		o := &Output{cfg: Config{Sink: func(Batch) {}}, wake: make(chan struct{}, 1)}
		var rest []byte
		cut := false
		for chunk := range slices.Chunk(b, 1+int(part)) {
			rest, cut = o.split(chunk, rest, cut, false)
		}
		var got []string
		for _, batch := range o.pending {
			got = append(got, batch.Lines...)
		}
		var want []string
		all := bytes.Split(b, []byte{'\n'})
		for _, line := range all[:len(all)-1] {
			if len(line) > MaxLine {
				want = append(want, text(line[:MaxLine])+" … (line cut)")
			} else {
				want = append(want, text(line))
			}
		}
		if last := all[len(all)-1]; len(last) > MaxLine {
			want = append(want, text(last[:MaxLine])+" … (line cut)")
		} else if string(rest) != string(last) {
			t.Errorf("left %q, want %q", rest, last)
		}
		if n := min(len(want), maxPending); !slices.Equal(got, want[:n]) && o.dropped == 0 {
			t.Errorf("%d lines, want %d", len(got), len(want))
		}
	})
}

// TestFileTellsWhatIsLost fills a disk that takes nothing for a while.
func TestFileTellsWhatIsLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := Open(path, DefaultLimit)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	disk := f.f
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here: ", err)
	}
	defer full.Close()
	f.Write([]byte("one\n"))
	f.f = full
	for range 3 {
		if n, err := f.Write([]byte("lost\n")); err == nil || n != 0 {
			t.Fatalf("a full disk takes %d bytes, %v", n, err)
		}
	}
	f.f = disk
	if _, err := f.Write([]byte("two\n")); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(path)
	if want := "one\n\n… 15 bytes of output lost: they couldn't be written\ntwo\n"; string(got) != want {
		t.Errorf("the file has %q, want %q", got, want)
	}
}
