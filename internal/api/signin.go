package api

import (
	"context"
	"net/http"
)

// SignInCode is what a browser shows once at /sign-in?code=… to be signed in.
type SignInCode struct {
	Code          string `json:"code"`
	ExpiresTimeMs int64  `json:"expires_time_ms"`
	HTTPAddress   string `json:"http_address"` // of the head that made it: loopback, on that head's host
}

// Session says until when a browser is signed in.
type Session struct {
	ExpiresTimeMs int64 `json:"expires_time_ms"`
}

// LiveEvent is one of /api/v0/live, as a server-sent event named data: what a GET of the
// path answers now. Body is JSON, or text as a JSON string.
type LiveEvent struct {
	Path   string `json:"path"` // as it was asked for
	Status int    `json:"status"`
	Body   any    `json:"body"`
}

// SignInCode makes a code with which one browser can sign in.
func (c *Client) SignInCode(ctx context.Context) (*SignInCode, error) {
	out := new(SignInCode)
	if err := c.call(ctx, request{method: http.MethodPost, path: "/api/sign_in_code"}, out); err != nil {
		return nil, err
	}
	return out, nil
}
