package head

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// uploadPause is how long an upload may make no progress.
const uploadPause = 30 * time.Second

// getPackage tells whether a package is stored.
func (h *Head) getPackage(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	name := r.PathValue("name")
	if err := checkPackageName(name); err != nil {
		writeError(w, err)
		return
	}
	if h.packageRecord(name) == nil {
		writeText(w, http.StatusNotFound, fmt.Sprintf("Package gcs://%s does not exist", name))
		return
	}
	w.WriteHeader(http.StatusOK)
}

// uploadPackage stores a package.
func (h *Head) uploadPackage(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength > maxPackage {
		writeError(w, fmt.Errorf("%w: a package has at most %d bytes", ErrTooLarge, int64(maxPackage)))
		return
	}
	body := &progressing{r: r.Body, c: http.NewResponseController(w)}
	if err := h.putPackage(r.Context(), r.PathValue("name"), body); err != nil {
		writeError(w, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// progressing reads a body that may take long, as long as something arrives.
type progressing struct {
	r io.Reader
	c *http.ResponseController
}

func (p *progressing) Read(b []byte) (int, error) {
	if err := p.c.SetReadDeadline(time.Now().Add(uploadPause)); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	if errors.Is(err, io.EOF) { // the server watches the connection now, and what follows may take long
		p.c.SetReadDeadline(time.Time{})
	}
	return n, err
}
