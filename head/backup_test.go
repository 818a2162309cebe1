package head

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/proto"
)

// backedUp is a head with a node, a key, a job and a package, and its backup.
func backedUp(t testing.TB) (*Head, *fakeNode, []byte) {
	t.Helper()
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 2)
	n.connect(nil)
	submit(t, h, "one", n)
	if _, err := n.control.PutKey(t.Context(), &proto.PutKeyRequest{Key: "k", Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.zip", "b.zip"} { // one file
		if err := h.putPackage(t.Context(), name, strings.NewReader("content")); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := h.writeBackup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return h, n, b.Bytes()
}

func sumOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// TestRestore: the cluster goes on from the backup, with its members' certificates.
func TestRestore(t *testing.T) {
	h, n, b := backedUp(t)
	job := h.job("one").Spec.Id
	dir := filepath.Join(t.TempDir(), "a", "b", "head")
	got, err := Restore(dir, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	want := Restored{Cluster: h.ClusterID().String(), Created: got.Created, Nodes: 1, Jobs: 1, Packages: 2}
	if got != want || got.Created.Before(h.started.Truncate(1e6)) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if st, err := os.Stat(filepath.Join(dir, authorityFile)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	if ca, err := os.ReadFile(filepath.Join(dir, authorityFile)); err != nil || !bytes.Equal(ca, h.ca.Marshal()) {
		t.Errorf("another authority, %v", err)
	}
	n.hangUp()
	stopHead(t, h)

	again := startHead(t, dir)
	if again.ClusterID() != h.ClusterID() || again.Token() != h.Token() || again.dir.info.Head == h.dir.info.Head {
		t.Errorf("cluster %s as head %s", again.ClusterID(), again.dir.info.Head)
	}
	old := n.id
	n.err = nil
	n.register(again)
	n.connect(nil)
	if r, err := n.control.GetKey(t.Context(), &proto.GetKeyRequest{Key: "k"}); err != nil || string(r.Value) != "v" {
		t.Errorf("key: %v, %v", r, err)
	}
	if j := again.job("one"); j == nil || j.Spec.Id != job {
		t.Errorf("job: %+v", j)
	}
	if content, err := os.ReadFile(again.packages.path(again.packageRecord("b.zip").Sha256)); err != nil || string(content) != "content" {
		t.Errorf("package: %q, %v", content, err)
	}
	if m := newNode(t, again, 1); m.id != old+skippedNumbers+1 {
		t.Errorf("node %d after %d", m.id, old)
	}
	if id := submit(t, again, "two", n); id != job+skippedNumbers+1 {
		t.Errorf("job %d after %d", id, job)
	}
	if err := again.writeBackup(t.Context(), io.Discard); err != nil {
		t.Errorf("a backup of what was restored: %v", err)
	}
}

func TestRestoreNeedsAnEmptyDir(t *testing.T) {
	h, _, b := backedUp(t)
	if _, err := Restore(h.dir.path, bytes.NewReader(b)); !errors.Is(err, ErrBadDataDir) || !strings.Contains(err.Error(), "isn't empty") {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "head")} {
		if _, err := Restore(dir, bytes.NewReader(b)); !errors.Is(err, ErrBadDataDir) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if _, err := Restore(t.TempDir(), bytes.NewReader(b)); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
}

// part is an entry of a tar that a test makes.
type part struct {
	name, content string
	kind          byte
}

func parts(t testing.TB, b []byte) (out []part) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(b))
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, part{e.Name, string(content), e.Typeflag})
	}
}

func pack(t testing.TB, all ...part) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, p := range all {
		if err := w.WriteHeader(&tar.Header{Name: p.name, Size: int64(len(p.content)), Typeflag: p.kind, Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(p.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// refused restores what can't be restored, and looks for what it leaves behind.
func refused(t *testing.T, b []byte, what, text string) {
	t.Helper()
	root := t.TempDir()
	_, err := Restore(filepath.Join(root, "new", "head"), bytes.NewReader(b))
	if !errors.Is(err, ErrBadBackup) || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v", what, err)
	}
	if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
		t.Errorf("%s: it left %v, %v", what, left, err)
	}
}

func TestBadBackupsAreRefused(t *testing.T) {
	_, _, b := backedUp(t)
	good := parts(t, b)
	if len(good) != 3 {
		t.Fatalf("%d entries", len(good))
	}
	info, state, file := good[0], good[1], good[2]
	with := func(p part, name, content string, kind byte) part {
		if name != "" {
			p.name = name
		}
		if content != "" {
			p.content = content
		}
		if kind != 0 {
			p.kind = kind
		}
		return p
	}
	empty := fsm.New()
	var strange bytes.Buffer
	if _, err := empty.Snapshot().WriteTo(&strange); err != nil {
		t.Fatal(err)
	}
	for what, tt := range map[string]struct {
		b    []byte
		text string
	}{
		"nothing":           {nil, "cut off"},
		"no tar":            {bytes.Repeat([]byte("x"), 4096), "damaged"},
		"another tar":       {pack(t, part{name: "README", kind: tar.TypeReg}), `it has "README" where "gray-backup.json" belongs`},
		"no JSON":           {pack(t, with(info, "", "{", 0)), "gray-backup.json"},
		"a later format":    {pack(t, with(info, "", `{"format":2,"gray_version":"v9"}`, 0), state, file), `its format is 2, this version of gray reads 1 (gray "v9" made it)`},
		"a long info":       {pack(t, with(info, "", strings.Repeat(" ", maxBackupInfo+1), 0)), "more than 65536"},
		"another cluster":   {pack(t, with(info, "", `{"format":1,"cluster":"00000001"}`, 0), state, file), "00000001"},
		"no state":          {pack(t, info), "cut off"},
		"the wrong order":   {pack(t, info, file, state), `where "state" belongs`},
		"a damaged state":   {pack(t, info, with(state, "", state.content[:len(state.content)-1], 0), file), "the state: bad snapshot"},
		"no identity":       {pack(t, info, with(state, "", strange.String(), 0), file), "is of cluster 00000000"},
		"a missing package": {pack(t, info, state), "1 of 2 packages aren't in it"},
		"a damaged package": {pack(t, info, state, with(file, "", "CONTENT", 0)), "is damaged"},
		"a short package":   {pack(t, info, state, with(file, "", "conten", 0)), "its file 6"},
		"one twice":         {pack(t, info, state, file, file), "doesn't belong"},
		"another package":   {pack(t, info, state, file, with(file, backupPackages+sumOf("x"), "x", 0)), "doesn't belong"},
		"a path":            {pack(t, info, state, with(file, "packages/../../evil", "", 0)), "doesn't belong"},
		"an absolute path":  {pack(t, info, state, with(file, "/tmp/evil", "", 0)), "doesn't belong"},
		"a link":            {pack(t, info, state, part{name: file.name, kind: tar.TypeSymlink}), "no plain file"},
		"a folder":          {pack(t, info, state, part{name: backupPackages, kind: tar.TypeDir}), "no plain file"},
	} {
		refused(t, tt.b, what, tt.text)
	}
	huge := tar.Header{Name: backupState, Size: maxBackupState + 1, Typeflag: tar.TypeReg}
	var long bytes.Buffer
	w := tar.NewWriter(&long)
	w.WriteHeader(&tar.Header{Name: backupInfoName, Size: int64(len(info.content)), Typeflag: tar.TypeReg})
	w.Write([]byte(info.content))
	w.WriteHeader(&huge)
	refused(t, long.Bytes(), "a huge state", "more than 2147483648")

	end := bytes.LastIndex(b, []byte("content")) + len("content")
	for n := 0; n < end; n += 97 {
		refused(t, b[:n], "cut off", "")
	}
	refused(t, b[:end-1], "cut off at the end", "")
}

// TestGetBackup: the answer ends with its sum, or can be told from a whole one.
func TestGetBackup(t *testing.T) {
	h, _, _ := backedUp(t)
	srv := httptest.NewServer(http.HandlerFunc(h.getBackup))
	defer srv.Close()
	get := func() (*http.Response, []byte, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := srv.Client().Do(r)
		if err != nil {
			return nil, nil, err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return resp, b, err
	}
	resp, b, err := get()
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/octet-stream" {
		t.Fatalf("%v, %v", resp, err)
	}
	if want := sumOf(string(b)); resp.Trailer.Get(api.SumTrailer) != want {
		t.Errorf("sum %q, want %s", resp.Trailer.Get(api.SumTrailer), want)
	}
	if _, err := Restore(filepath.Join(t.TempDir(), "head"), bytes.NewReader(b)); err != nil {
		t.Error(err)
	}

	path := h.packages.path(sumOf("content"))
	if err := os.WriteFile(path, []byte("CONTENT"), 0o600); err != nil {
		t.Fatal(err)
	}
	if resp, b, err := get(); err == nil {
		t.Errorf("a damaged package: %d bytes, %v", len(b), resp)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if resp, b, err := get(); err != nil || resp.StatusCode != http.StatusInternalServerError || !strings.Contains(string(b), "package a.zip") {
		t.Errorf("a missing package: %q, %v", b, err)
	}
}

// TestBackupNeedsTheLeader: another head's state may be old.
func TestBackupNeedsTheLeader(t *testing.T) {
	heads := startHeads(t, 2)
	h := heads[1]
	stopHead(t, heads[0])
	w := httptest.NewRecorder()
	h.getBackup(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if err := h.leading(t.Context()); status.Code(err) != codes.Unavailable || w.Code != http.StatusServiceUnavailable {
		t.Errorf("got %d %s, %v", w.Code, w.Body, err)
	}
}

// seedBackup is a backup of a state with a package.
func seedBackup(t testing.TB) []part {
	t.Helper()
	ca, err := pki.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	s := fsm.New()
	for _, body := range []fsm.Body{
		&fsm.Command_Init{Init: &fsm.Init{Cluster: 10, Authority: ca.Marshal(), Token: ca.NewToken().String()}},
		&fsm.Command_PutPackage{PutPackage: &fsm.PutPackage{Name: "a", Size: 7, Sha256: sumOf("content")}},
	} {
		if r, _ := s.Apply(&fsm.Command{Body: body}); r.Error != nil {
			t.Fatal(r.Error)
		}
	}
	var state bytes.Buffer
	if _, err := s.Snapshot().WriteTo(&state); err != nil {
		t.Fatal(err)
	}
	return []part{
		{backupInfoName, `{"format":1,"cluster":"0000000a"}`, tar.TypeReg}, {backupState, state.String(), tar.TypeReg},
		{backupPackages + sumOf("content"), "content", tar.TypeReg},
	}
}

// FuzzRestoreBackup restores anything: it's whole or nothing is left of it.
func FuzzRestoreBackup(f *testing.F) {
	all := seedBackup(f) // of no head that runs beside: what it does would pass for an effect of the input
	b := pack(f, all...)
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Add(pack(f, all[0], all[2], all[1]))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		root := t.TempDir()
		dir := filepath.Join(root, "head")
		_, err := Restore(dir, bytes.NewReader(b))
		if err == nil {
			if err := startOn(&dataDir{path: dir}); err != nil {
				t.Error(err)
			}
			return
		}
		if !errors.Is(err, ErrBadBackup) && !errors.Is(err, ErrTooLarge) {
			t.Error(err)
		}
		if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
			t.Errorf("it left %v, %v", left, err)
		}
	})
}
