package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Know tells the client of more heads, by their control addresses. They are asked
// when the first doesn't answer.
func (c *Client) Know(addresses ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.know(c.heads, addresses)
}

// Heads returns the addresses of the heads that it knows, its own word and what
// the cluster's answers say. The first is the one that it asks first.
func (c *Client) Heads() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.heads)
}

// ReadStale lets any head answer reads from its own state, even while none leads.
// tell is called with who answered and how old that may be (-1: unknown), from the
// goroutines that call. To be called before anything is asked.
func (c *Client) ReadStale(tell func(head string, age time.Duration)) { c.stale = tell }

// learn takes from an answer of head what it says of the cluster's heads. It stays
// the one that is asked.
func (c *Client) learn(head string, h http.Header) {
	if text := h.Get(HeadsHeader); text != "" {
		c.mu.Lock()
		c.know([]string{head}, strings.Split(text, ","))
		c.mu.Unlock()
	}
	if ms, err := strconv.ParseInt(h.Get(StaleHeader), 10, 64); err == nil && c.stale != nil {
		c.stale(head, max(time.Duration(ms)*time.Millisecond, -1))
	}
}

// know makes the known heads those, and then more of them. The caller has c.mu.
func (c *Client) know(those, more []string) {
	if c.scheme == plainScheme { // other heads serve plain HTTP to their own hosts only
		return
	}
	heads := slices.Clone(those)
	for _, a := range more {
		if a = strings.TrimSpace(a); len(heads) < maxHeads && isAddress(a) && !slices.Contains(heads, a) {
			heads = append(heads, a)
		}
	}
	c.heads = heads
}

// avoid has a head that doesn't answer asked last from now on.
func (c *Client) avoid(head string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.heads, head); i >= 0 {
		c.heads = append(slices.Delete(c.heads, i, i+1), head)
	}
}

// ListHeads describes the cluster's heads.
func (c *Client) ListHeads(ctx context.Context) (*HeadList, error) {
	return get[HeadList](ctx, c, "/api/heads")
}

// RemoveHead makes a head no member any more.
func (c *Client) RemoveHead(ctx context.Context, id string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: "/api/heads/" + url.PathEscape(id)}, nil)
}

// TransferHead has another head lead, with an empty id the one that is most advanced.
// It's asked of one head only: a second call might lead elsewhere.
func (c *Client) TransferHead(ctx context.Context, id string) (*Leader, error) {
	body, err := json.Marshal(TransferRequest{ID: id})
	if err != nil {
		return nil, fmt.Errorf("encode the transfer: %w", err)
	}
	out := new(Leader)
	err = c.call(ctx, request{
		method: http.MethodPost, path: "/api/heads/transfer", header: http.Header{"Content-Type": {"application/json"}},
		body: content(body), size: int64(len(body)), once: true,
	}, out)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Backup writes a backup of the cluster's state and packages to w, as long as ctx lets
// it, and returns its SHA-256, which it has checked.
func (c *Client) Backup(ctx context.Context, w io.Writer) (sum [sha256.Size]byte, err error) {
	err = c.do(ctx, request{method: http.MethodGet, path: "/api/heads/backup", slow: true}, func(_ string, resp *http.Response) error {
		h := sha256.New()
		if n, err := io.Copy(io.MultiWriter(w, h), resp.Body); err != nil {
			return fmt.Errorf("the backup broke off after %d bytes: %w", n, err)
		}
		h.Sum(sum[:0])
		if want := resp.Trailer.Get(SumTrailer); !strings.EqualFold(want, hex.EncodeToString(sum[:])) {
			return errors.New("the backup arrived damaged: its sum isn't that of the head")
		}
		return nil
	})
	return sum, err
}
