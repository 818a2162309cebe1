package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
)

func packagePath(name string) string { return "/api/packages/gcs/" + url.PathEscape(name) }

// HasPackage reports whether the cluster has a package of this name.
func (c *Client) HasPackage(ctx context.Context, name string) (bool, error) {
	err := c.call(ctx, request{method: http.MethodGet, path: packagePath(name)}, nil)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// PutPackage uploads a package of size bytes from r. It may take as long as ctx
// lets it. Of an io.ReaderAt the first size bytes are uploaded, again and to another
// head if need be.
func (c *Client) PutPackage(ctx context.Context, name string, r io.Reader, size int64) error {
	up := request{method: http.MethodPut, path: packagePath(name), size: size, slow: true}
	at, ok := r.(io.ReaderAt)
	if !ok {
		up.once, up.body = true, func() io.Reader { return r }
		return c.do(ctx, up, discard)
	}
	up.body = func() io.Reader { return io.NewSectionReader(at, 0, size) }
	return again(ctx, func() error { return c.do(ctx, up, discard) })
}
