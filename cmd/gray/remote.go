package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/pki"
)

// maxRows is how many rows a head answers at most.
const maxRows = 10_000

// remote is a cluster behind its heads' REST interface.
type remote struct {
	*api.Client
	place
	reads bool // the verb has --stale
}

// dial makes a remote; it connects at the first call.
func dial(p place) (*remote, error) {
	token, err := parseToken(p.token, p.source)
	if err != nil {
		return nil, err
	}
	c, err := api.NewClient(p.address, token)
	if err != nil {
		return nil, usagef("%w", err)
	}
	c.Know(p.heads...)
	return &remote{Client: c, place: p}, nil
}

func parseToken(text, source string) (pki.Token, error) {
	token, err := pki.ParseToken(text)
	if err != nil {
		return "", fmt.Errorf("the token of %s is malformed: %w: copy the one that `gray start --head` printed", source, err)
	}
	return token, nil
}

// explain says in one line what happened and what to do.
func (r *remote) explain(err error) error {
	var gone *api.UnreachableError
	var status *api.StatusError
	switch {
	case errors.Is(err, pki.ErrWrongCluster):
		return fmt.Errorf("what answers at %s%s isn't a head of the cluster that the token of %s is for: check the address, "+
			"or give GRAY_TOKEN that cluster's token, as `gray start --head` printed it", r.address, detail(err), r.source)
	case errors.Is(err, api.ErrUnauthorized):
		return fmt.Errorf("the head at %s refuses the token of %s: give GRAY_TOKEN the one that `gray start --head` printed", r.address, r.source)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%s is a plain HTTP port: name the control port, or write http://%s", r.address, r.address)
	case errors.As(err, &gone):
		return unreachable(gone.Address, gone.Err)
	case errors.As(err, &status) && status.Status == http.StatusServiceUnavailable:
		return r.leaderless(status)
	}
	return err
}

// leaderless explains why a head can't answer: it neither leads nor knows who does.
func (r *remote) leaderless(err *api.StatusError) error {
	const what = "no head leads the cluster now"
	why := strings.Trim(strings.TrimPrefix(err.Error(), what), " :;()")
	if why != "" {
		why = " (" + why + ")"
	}
	wayOut := "see `gray heads --stale`"
	if r.reads {
		wayOut = "add --stale to see what this head knows"
	}
	return fmt.Errorf("%s%s; %s", what, why, wayOut)
}

// detail is what err says besides that it's the wrong cluster.
func detail(err error) string {
	_, more, _ := strings.Cut(err.Error(), pki.ErrWrongCluster.Error()+": ")
	if more != "" {
		more = " (" + more + ")"
	}
	return more
}

// unreachableError says what a person can look at when no head answers.
type unreachableError struct {
	address string
	err     error
}

func unreachable(address string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) { // which names the address again
		err = op.Err
	}
	return &unreachableError{address, err}
}

func (e *unreachableError) Error() string {
	reason := e.err.Error()
	if errors.Is(e.err, context.DeadlineExceeded) || errors.Is(e.err, os.ErrDeadlineExceeded) {
		reason = "no answer in time"
	}
	return fmt.Sprintf("can't reach a head at %s (%s): is `gray start --head` running there, and is the port open to this machine?",
		e.address, reason)
}

func (e *unreachableError) Unwrap() error { return e.err }

func (r *remote) Status(ctx context.Context) (overview, error) {
	s, err := r.Client.Status(ctx)
	if err != nil {
		return overview{}, r.explain(err)
	}
	o := overview{Version: s.GrayVersion, Insecure: s.Insecure, Nodes: convert(s.Nodes, nodeOf), Waiting: convert(s.Pending, demandOf)}
	o.Nodes = append(o.Nodes, convert(s.Dead, nodeOf)...)
	return o, nil
}

func (r *remote) Nodes(ctx context.Context) ([]node, error) {
	p, err := rows(r, nodeOf)(r.Client.Nodes(ctx, api.ListOptions{Limit: maxRows}))
	return p.items, err
}

func (r *remote) Jobs(ctx context.Context) ([]job, error) {
	all, err := r.Client.Jobs(ctx)
	if err != nil {
		return nil, r.explain(err)
	}
	return convert(all, jobOf), nil
}

func (r *remote) Actors(ctx context.Context, o api.ListOptions) (page[actor], error) {
	return rows(r, actorOf)(r.Client.Actors(ctx, o))
}

func (r *remote) Tasks(ctx context.Context, o api.ListOptions) (page[task], error) {
	return rows(r, taskOf)(r.Client.Tasks(ctx, o))
}

func (r *remote) Objects(ctx context.Context, o api.ListOptions) (page[object], error) {
	return rows(r, objectOf)(r.Client.Objects(ctx, o))
}

func (r *remote) Memory(ctx context.Context, limit int) (page[api.ObjectRow], error) {
	same := func(o api.ObjectRow) api.ObjectRow { return o }
	return rows(r, same)(r.Client.Objects(ctx, api.ListOptions{Limit: limit, Detail: true}))
}

func (r *remote) Job(ctx context.Context, id string) (job, error) {
	d, err := r.Client.Job(ctx, id)
	if err != nil {
		return job{}, r.jobError(id, err)
	}
	return jobOf(*d), nil
}

func (r *remote) AwaitJob(ctx context.Context, id string, lost func(error)) (job, error) {
	d, err := r.Client.Await(ctx, id, r.explained(lost))
	if err != nil {
		return job{}, r.jobError(id, err)
	}
	return jobOf(*d), nil
}

func (r *remote) Submit(ctx context.Context, s submission) (string, error) {
	env := &api.GrayEnv{Args: s.Args}
	for _, b := range s.Binaries {
		env.Binaries = append(env.Binaries, api.Binary{Platform: b.Platform, Package: b.Package, SHA256: b.SHA256, Size: b.Size})
	}
	runtimeEnv := api.RuntimeEnv{EnvVars: s.Env, Gray: env}
	if s.WorkingDir != "" {
		runtimeEnv.WorkingDir = "gcs://" + s.WorkingDir
	}
	out, err := r.Client.Submit(ctx, api.JobSubmitRequest{
		Entrypoint: s.Entrypoint, SubmissionID: s.Name, Weight: s.Weight, RuntimeEnv: runtimeEnv,
	})
	if err != nil {
		return "", r.explain(err)
	}
	return out.SubmissionID, nil
}

func (r *remote) StopJob(ctx context.Context, id string) (bool, error) {
	was, err := r.Stop(ctx, id)
	return was, r.jobError(id, err)
}

func (r *remote) Logs(ctx context.Context, id string) (string, error) {
	text, err := r.Client.Logs(ctx, id)
	return text, r.jobError(id, err)
}

func (r *remote) FollowLogs(ctx context.Context, id string, w io.Writer, lost func(error)) error {
	return r.jobError(id, r.TailLogs(ctx, id, w, r.explained(lost)))
}

func (r *remote) HasPackage(ctx context.Context, name string) (bool, error) {
	has, err := r.Client.HasPackage(ctx, name)
	return has, r.explain(err)
}

func (r *remote) PutPackage(ctx context.Context, name string, content io.Reader, size int64) error {
	return r.explain(r.Client.PutPackage(ctx, name, content, size))
}

func (r *remote) Heads(ctx context.Context) ([]head, error) {
	l, err := r.ListHeads(ctx)
	if err != nil {
		return nil, r.explain(err)
	}
	return convert(l.Heads, headOf), nil
}

// RemoveHead takes a head that isn't there for one that was removed, by a call whose
// answer got lost.
func (r *remote) RemoveHead(ctx context.Context, id string) error {
	if err := r.Client.RemoveHead(ctx, id); !errors.Is(err, api.ErrNotFound) {
		return r.explain(err)
	}
	return nil
}

func (r *remote) TransferHead(ctx context.Context, id string) (headName, error) {
	l, err := r.Client.TransferHead(ctx, id)
	if err != nil {
		return headName{}, r.explain(err)
	}
	return headName{ID: l.ID, Address: l.Address}, nil
}

func (r *remote) Backup(ctx context.Context, w io.Writer) (string, error) {
	sum, err := r.Client.Backup(ctx, w)
	return hex.EncodeToString(sum[:]), r.explain(err)
}

func (r *remote) explained(tell func(error)) func(error) {
	return func(err error) { tell(r.explain(err)) }
}

// jobError is explain for a question about a job.
func (r *remote) jobError(id string, err error) error {
	if errors.Is(err, api.ErrNotFound) {
		return fmt.Errorf("the cluster at %s has no job %s: `gray jobs` lists those that it has", r.address, id)
	}
	return r.explain(err)
}

// rows takes what the state API answered.
func rows[F, T any](r *remote, one func(F) T) func(*api.List[F], error) (page[T], error) {
	return func(l *api.List[F], err error) (page[T], error) {
		if err != nil {
			return page[T]{}, r.explain(err)
		}
		return page[T]{
			items: convert(l.Result, one), total: max(l.NumFiltered, len(l.Result)), warning: l.PartialFailureWarning, notes: l.Warnings,
		}, nil
	}
}
