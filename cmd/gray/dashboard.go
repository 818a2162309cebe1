package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/daemon"
)

// signInLink is what gray dashboard prints.
type signInLink struct {
	URL           string `json:"url"`
	ExpiresTimeMs int64  `json:"expires_time_ms"`

	there string // not "": the host and port that the link has to be brought from
}

func newDashboard(t *terminal) *cobra.Command {
	var g target
	var open, asJSON bool
	var base string
	c := &cobra.Command{
		Use: "dashboard", Short: "Print a link that opens the dashboard in a browser",
		Long: "The link signs one browser in, once, within 5 minutes; the browser stays signed in for\n" +
			"12 hours after its last visit, on this cluster, and may read only.\n\n" +
			"Heads serve the dashboard on loopback. From another machine: through ssh -L, as it\n" +
			"says then, or through a proxy (--url; see docs/dashboard.md).",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), listTimeout)
			defer cancel()
			link, err := g.signInLink(ctx, base)
			if err != nil {
				return err
			}
			if asJSON {
				return t.json(link)
			}
			fmt.Fprintln(t.out, link.URL)
			if link.there != "" {
				host, port, _ := net.SplitHostPort(link.there)
				t.note("no head of this cluster runs on this machine. First: ssh -N -L 127.0.0.1:%s:127.0.0.1:%s %s", port, port, host)
			}
			if !open {
				return nil
			}
			return openURL(ctx, link.URL)
		},
	}
	g.register(c)
	c.Flags().BoolVar(&open, "open", false, "open it in this machine's browser")
	c.Flags().StringVar(&base, "url", "", "`URL` at which a proxy serves the dashboard, as https://example.com/gray")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// signInLink asks for a code, and finds where a browser shows it: at base, else at a
// head of the cluster on this host, else at the leader's host.
func (g *target) signInLink(ctx context.Context, base string) (signInLink, error) {
	var link signInLink
	if u, err := url.Parse(base); base != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return link, usagef("--url %q isn't of the form https://HOST/PATH", base)
	}
	p, err := g.resolve()
	if err != nil {
		return link, err
	}
	r, err := dial(p)
	if err != nil {
		return link, err
	}
	defer r.Close()
	code, err := r.SignInCode(ctx)
	if err != nil {
		return link, r.explain(err)
	}
	switch {
	case base != "":
	case strings.HasPrefix(p.address, "http://"):
		base = p.address
	default:
		var here string
		if here, link.there, err = r.httpAddress(ctx); err != nil {
			return link, err
		}
		base = "http://" + here
	}
	link.URL = strings.TrimRight(base, "/") + "/sign-in?code=" + url.QueryEscape(code.Code)
	link.ExpiresTimeMs = code.ExpiresTimeMs
	return link, nil
}

// httpAddress is where a head of the cluster serves HTTP on this host. If none does, it
// is the address that one has on its own, and there says on which host that is.
func (r *remote) httpAddress(ctx context.Context) (address, there string, err error) {
	heads, err := r.ListHeads(ctx)
	if err != nil {
		return "", "", r.explain(err)
	}
	here := map[string]bool{}
	infos, err := daemon.List()
	if err != nil {
		return "", "", err
	}
	for _, i := range infos {
		here[i.Address] = i.Role == daemon.RoleHead || here[i.Address]
	}
	for _, h := range heads.Heads {
		switch {
		case h.HTTPAddress == "":
		case here[h.Address]:
			return h.HTTPAddress, "", nil
		case address == "":
			_, port, _ := net.SplitHostPort(h.HTTPAddress)
			host, _, _ := net.SplitHostPort(h.Address)
			address, there = h.HTTPAddress, net.JoinHostPort(host, port)
		}
	}
	if address == "" {
		return "", "", fmt.Errorf("no head of the cluster at %s has an HTTP port", r.address)
	}
	return address, there, nil
}

func openURL(ctx context.Context, link string) error {
	program := "xdg-open"
	if runtime.GOOS == "darwin" {
		program = "open"
	}
	if err := exec.CommandContext(ctx, program, link).Run(); err != nil {
		return fmt.Errorf("open a browser: %s: %w: open the link yourself", program, err)
	}
	return nil
}
