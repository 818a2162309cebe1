package head

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
)

// A backup is a tar: what it is (backupInfo), the state (a snapshot of fsm), and
// the file of every package in the state's index, by sum and once each.
const (
	backupFormat   = 1
	backupInfoName = "gray-backup.json"
	backupState    = "state"
	backupPackages = "packages/"
)

// backupInfo is the first entry of a backup.
type backupInfo struct {
	Format    int    `json:"format"`
	Cluster   string `json:"cluster"`
	Version   string `json:"gray_version"`
	CreatedMs int64  `json:"created_unix_ms"`
}

// writeBackup writes a backup of the state as this head has it. What can be found
// out before the first byte, such as that a package isn't here, is.
func (h *Head) writeBackup(ctx context.Context, w io.Writer) error {
	var snapshot *fsm.Snapshot
	var index []*fsm.PackageRecord
	h.replica.read(func(s *fsm.State) { snapshot, index = s.Snapshot(), s.Packages() })
	slices.SortFunc(index, func(a, b *fsm.PackageRecord) int { return strings.Compare(a.Sha256, b.Sha256) })
	index = slices.CompactFunc(index, func(a, b *fsm.PackageRecord) bool { return a.Sha256 == b.Sha256 })
	for _, p := range index {
		if st, err := os.Stat(h.packages.path(p.Sha256)); err != nil {
			return fmt.Errorf("back up package %s: %w", p.Name, err)
		} else if st.Size() != p.Size {
			return fmt.Errorf("back up package %s: its file has %d bytes, not %d", p.Name, st.Size(), p.Size)
		}
	}
	size, err := snapshot.WriteTo(io.Discard) // it's the same when it's written again
	if err != nil {
		return fmt.Errorf("back up the state: %w", err)
	}
	info, err := json.Marshal(backupInfo{Format: backupFormat, Cluster: h.ClusterID().String(), Version: h.cfg.Version, CreatedMs: now()})
	if err != nil {
		return fmt.Errorf("encode %s: %w", backupInfoName, err)
	}
	b := &backupWriter{tar: tar.NewWriter(w), made: time.Now()}
	b.entry(backupInfoName, int64(len(info)), func(w io.Writer) error {
		_, err := w.Write(info)
		return err
	})
	b.entry(backupState, size, func(w io.Writer) error {
		_, err := snapshot.WriteTo(w)
		return err
	})
	for _, p := range index {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("back up: %w", err)
		}
		b.entry(backupPackages+p.Sha256, p.Size, func(w io.Writer) error { return h.packInto(p, w) })
	}
	if b.err != nil {
		return fmt.Errorf("back up: %w", b.err)
	}
	return b.tar.Close()
}

// packInto writes a package's file, and finds out whether it's what it was.
func (h *Head) packInto(p *fsm.PackageRecord, w io.Writer) error {
	f, err := os.Open(h.packages.path(p.Sha256))
	if err != nil {
		return fmt.Errorf("package %s: %w", p.Name, err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, sum), f); err != nil {
		return fmt.Errorf("package %s: %w", p.Name, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != p.Sha256 {
		return fmt.Errorf("package %s is damaged: its SHA-256 is %s, not %s", p.Name, got, p.Sha256)
	}
	return nil
}

// backupWriter writes the entries of a backup up to the first error.
type backupWriter struct {
	tar  *tar.Writer
	made time.Time
	err  error
}

func (b *backupWriter) entry(name string, size int64, write func(io.Writer) error) {
	if b.err != nil {
		return
	}
	b.err = b.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: b.made})
	if b.err == nil {
		b.err = write(b.tar)
	}
}

// getBackup sends a backup. It may take long, as long as the other side reads.
func (h *Head) getBackup(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	c.SetReadDeadline(time.Time{}) // nothing is to come, and the end of a deadline would end the request
	c.SetWriteDeadline(time.Now().Add(uploadPause))
	if err := h.leading(r.Context()); err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Trailer", api.SumTrailer)
	sum := sha256.New()
	out := &drained{w: w, c: c}
	if err := h.writeBackup(r.Context(), io.MultiWriter(out, sum)); err != nil {
		if !out.begun {
			w.Header().Del("Trailer")
			writeError(w, err)
			return
		}
		h.log.Warn("a backup broke off", "error", err)
		panic(http.ErrAbortHandler) // so that the other side can tell
	}
	w.Header().Set(api.SumTrailer, hex.EncodeToString(sum.Sum(nil)))
}

// drained writes an answer that may take long, as long as the other side reads it.
type drained struct {
	w     io.Writer
	c     *http.ResponseController
	begun bool
}

func (d *drained) Write(b []byte) (int, error) {
	d.begun = true
	d.c.SetWriteDeadline(time.Now().Add(uploadPause))
	return d.w.Write(b)
}
