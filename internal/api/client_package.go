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
	err := c.call(ctx, http.MethodGet, packagePath(name), nil, nil, nil)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// PutPackage uploads a package of size bytes from r. It may take as long as ctx lets it.
func (c *Client) PutPackage(ctx context.Context, name string, r io.Reader, size int64) error {
	return c.do(ctx, http.MethodPut, packagePath(name), nil, io.NopCloser(r), size, nil)
}
