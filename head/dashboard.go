package head

import (
	"net/http"

	"github.com/gray-runtime/gray/web"
)

// shielded are headers that every answer has, unless pages have their own (package web):
// what this port answers is never markup of, nor read by, a page of somebody else.
var shielded = map[string]string{
	"Cache-Control":                "no-store",
	"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "no-referrer",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
}

// withDashboard serves the dashboard's pages, which hold no facts, to everybody who may ask
// this port at all, and the API to those who have the token or are signed in.
func (h *Head) withDashboard(api *http.ServeMux) http.Handler {
	api.HandleFunc("GET "+livePath, newLive(h, api).serve)
	pages := web.Handler()
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", h.renewing(pages))
	mux.Handle("GET /assets/", pages)
	mux.Handle("GET /sign-in", h.atLeader(http.HandlerFunc(h.getSignIn)))
	mux.HandleFunc("GET /session", h.getSession)
	mux.HandleFunc("POST /sign-out", h.postSignOut)
	mux.Handle("/", h.guard(h.atLeader(api)))
	return h.screen(mux)
}
