package main

import (
	"context"
	_ "embed" // glooScript
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/collective"
)

// reduceArgument makes this program a job that times allreduces of two members.
const reduceArgument = "allreduce-net-job"

// reduceRates are what the cables between hosts are slowed to. Their frames are large, or headers were 5 % of what
// goes over them.
var reduceRates = []struct {
	name string
	bits float64
}{{"1gbit", 1e9}, {"10gbit", 10e9}}

//go:embed gloo_rank.py
var glooScript []byte

// netReduction is what a member does.
type netReduction struct {
	What reduction
	Open bool // without encryption
}

var netReducer = gray.Task(func(ctx context.Context, r netReduction) (reduced, error) {
	o := collective.Options{Name: r.What.Group, Rank: r.What.Rank, Size: r.What.Size, NoEncryption: r.Open}
	if r.What.TCP {
		o.Transport = collective.TCP
	}
	g, err := collective.Join(ctx, o)
	if err != nil {
		return reduced{}, err
	}
	defer g.Close()
	var out reduced
	for _, bytes := range r.What.Bytes {
		us, err := r.What.measure(ctx, g, bytes)
		if err != nil {
			return reduced{}, err
		}
		out.Microseconds = append(out.Microseconds, us)
	}
	return out, collective.Barrier(ctx, g)
}, gray.NumCPUs(0), gray.MaxRetries(0))

// words are what the peers' programs are told.
func (r reduction) words() []string {
	words := []string{strconv.FormatFloat(r.Seconds, 'g', -1, 64)}
	for _, s := range r.Bytes {
		words = append(words, strconv.Itoa(s))
	}
	return words
}

// netReducing is one implementation: a turn of it, in microseconds by size.
type netReducing struct {
	name string
	run  func(context.Context, reduction) ([]float64, error)
}

// benchAllReduceNet times allreduces of two members over TCP, on loopback and between network namespaces with slow
// cables, beside those of Open MPI and gloo where these are there. They take turns; a ratio is of one turn.
func benchAllReduceNet(ctx context.Context, b *bench) (err error) {
	h, err := newHost(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(h.dir)) }()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	mpi, err := b.buildMPI(ctx, h)
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: without Open MPI: %v\n", err)
	}
	script := filepath.Join(h.dir, "gloo_rank.py")
	if err := os.WriteFile(script, glooScript, 0o600); err != nil {
		return err
	}
	r := reduction{Bytes: reducedSizes, Seconds: reduceSeconds}
	if b.quick {
		r = reduction{Bytes: []int{4 << 10, 1 << 20, 16 << 20}, Seconds: 0.1}
	}

	impls := []netReducing{{"gray", func(ctx context.Context, r reduction) ([]float64, error) {
		return times(h.command(ctx, self, append([]string{reduceArgument, "tcp"}, r.words()...)...), r)
	}}}
	if mpi != "" {
		impls = append(impls, netReducing{"mpi", func(ctx context.Context, r reduction) ([]float64, error) {
			args := append(mpiArguments("lo"), "-np", "2", mpi)
			return times(asRoot(h.command(ctx, "mpirun", append(args, r.words()...)...)), r)
		}})
	}
	if b.train.python != "" {
		impls = append(impls, b.gloo([]*host{h, h}, script, "127.0.0.1", "lo"))
	}
	if err := b.takeTurns(ctx, "loopback", impls, r, 0); err != nil {
		return err
	}
	return b.reduceOverCables(ctx, h, mpi, script, r)
}

// reduceOverCables is the part between namespaces.
func (b *bench) reduceOverCables(ctx context.Context, h *host, mpi, script string, r reduction) (err error) {
	n, err := newNetwork(ctx, 2)
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: slow cables are left out: %v\n", err)
		return nil
	}
	defer func() { err = errors.Join(err, n.close(ctx)) }()
	if err := n.jumbo(ctx); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	hosts, err := n.nodes(ctx, h)
	defer func() { err = errors.Join(err, closeAll(ctx, hosts)) }()
	if err != nil {
		return err
	}
	ours := func(how string) func(context.Context, reduction) ([]float64, error) {
		return func(ctx context.Context, r reduction) ([]float64, error) {
			cmd := hosts[0].command(ctx, self, append([]string{reduceArgument, how}, r.words()...)...)
			cmd.Env = append(cmd.Env, "GRAY_ADDRESS=auto")
			return times(cmd, r)
		}
	}
	impls := []netReducing{{"gray", ours("nodes")}, {"gray_unencrypted", ours("open")}}
	if mpi != "" {
		impls = append(impls, netReducing{"mpi", func(ctx context.Context, r reduction) ([]float64, error) {
			args := mpiArguments("cable")
			for i := range hosts {
				args = append(args, ":", "-np", "1", "ip", "netns", "exec", n.namespace(i+1), mpi)
				args = append(args, r.words()...)
			}
			args = slices.Delete(args, len(mpiArguments("")), len(mpiArguments(""))+1) // the first :
			s := &host{dir: h.dir, prefix: []string{"ip", "netns", "exec", n.prefix}}
			cmd := asRoot(s.command(ctx, "mpirun", append([]string{"--mca", "oob_tcp_if_include", "switch"}, args...)...))
			// Its processes find it from their namespaces.
			cmd.Env = append(cmd.Env, "PMIX_MCA_ptl_tcp_if_include=switch,cable", "PMIX_MCA_ptl_tcp_remote_connections=1")
			return times(cmd, r)
		}})
	}
	if b.train.python != "" {
		impls = append(impls, b.gloo(hosts, script, n.address(1), "cable"))
	}
	for _, rate := range reduceRates {
		if err := n.slow(ctx, rate.name); err != nil {
			return err
		}
		if err := b.takeTurns(ctx, "veth_"+rate.name, impls, r, rate.bits); err != nil {
			return err
		}
	}
	return nil
}

// takeTurns has all implementations run by turns. With a rate in bits per second, what they reach of it is reported, too.
func (b *bench) takeTurns(ctx context.Context, where string, impls []netReducing, r reduction, rate float64) error {
	us := make([][][]float64, len(impls)) // by implementation, size, turn
	for i := range us {
		us[i] = make([][]float64, len(r.Bytes))
	}
	for range b.reps(7) {
		for i, x := range impls {
			got, err := x.run(ctx, r)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", where, x.name, err)
			}
			for k, v := range got {
				us[i][k] = append(us[i][k], v)
			}
		}
	}
	for k, size := range r.Bytes {
		for i, x := range impls {
			metric := fmt.Sprintf("allreduce_%s_%s_%s", where, sizeName(size), x.name)
			b.spread(metric, "us", us[i][k], "float32, sum, 2 members")
			if rate > 0 && size >= 1<<20 {
				ideal := make([]float64, len(us[i][k]))
				for t := range ideal {
					ideal[t] = float64(size) * 8 / rate * 1e6
				}
				b.ratio(metric+"_of_link", ideal, us[i][k], "goal 0.95 at 16 MiB and more; a cable lets 1 MB pass at once after a pause")
			}
			if strings.HasPrefix(x.name, "gray") {
				continue
			}
			for o, ours := range impls[:i] {
				if strings.HasPrefix(ours.name, "gray") {
					floor := map[string]string{"mpi": "floor 1", "gloo": "floor 1.5"}[x.name]
					b.ratio(fmt.Sprintf("allreduce_%s_%s_%s_over_%s", where, sizeName(size), ours.name, x.name), us[i][k], us[o][k], floor)
				}
			}
		}
	}
	return nil
}

func sizeName(bytes int) string {
	if bytes >= 1<<20 {
		return fmt.Sprintf("%dMiB", bytes>>20)
	}
	return fmt.Sprintf("%dKiB", bytes>>10)
}

func (b *bench) buildMPI(ctx context.Context, h *host) (string, error) {
	path := filepath.Join(h.dir, "allreduce_mpi")
	out, err := exec.CommandContext(ctx, "mpicc", "-O3", "-o", path, filepath.Join(b.train.scripts, "allreduce_mpi.c")).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("mpicc: %w: %s", err, out)
	}
	return path, nil
}

// mpiArguments are mpirun's for TCP over one interface.
func mpiArguments(network string) []string {
	return []string{"--oversubscribe", "--mca", "pml", "ob1", "--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", network}
}

// asRoot lets mpirun run.
func asRoot(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = append(cmd.Env, "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")
	return cmd
}

func (b *bench) gloo(hosts []*host, script, address, network string) netReducing {
	port := 29600
	return netReducing{"gloo", func(ctx context.Context, r reduction) ([]float64, error) {
		port++ // the last one may not be free yet
		var both errgroup.Group
		var first []float64
		for rank, h := range hosts {
			both.Go(func() error {
				args := append([]string{script, strconv.Itoa(rank), fmt.Sprintf("%s:%d", address, port)}, r.words()...)
				cmd := h.command(ctx, b.train.python, args...)
				cmd.Env = append(cmd.Env, "GLOO_SOCKET_IFNAME="+network, "OMP_NUM_THREADS=1")
				if rank == 0 {
					var err error
					first, err = times(cmd, r)
					return err
				}
				return withStderr(cmd.Run())
			})
		}
		err := both.Wait()
		return first, err
	}}
}

// reduceMain is the job of two members: how they are connected, seconds, sizes.
func reduceMain(args []string) {
	gray.Main(func(ctx context.Context) error {
		r := netReduction{What: reduction{Group: "allreduce-net", Size: 2, TCP: args[0] == "tcp"}, Open: args[0] == "open"}
		var err error
		if r.What.Seconds, err = strconv.ParseFloat(args[1], 64); err != nil {
			return err
		}
		for _, a := range args[2:] {
			size, err := strconv.Atoi(a)
			if err != nil {
				return err
			}
			r.What.Bytes = append(r.What.Bytes, size)
		}
		nodes := []uint32{gray.Current(ctx).Node, gray.Current(ctx).Node}
		if !r.What.TCP {
			others, err := otherNodes(ctx, 1)
			if err != nil {
				return err
			}
			nodes[1] = others[0]
		}
		var refs []gray.Ref[reduced]
		for rank, node := range nodes {
			r.What.Rank = rank
			refs = append(refs, netReducer.Options(gray.OnNode(node, false)).Remote(ctx, r))
		}
		all, err := gray.GetAll(ctx, refs)
		if err != nil {
			return err
		}
		return printTimes(r.What.Bytes, all[0].Microseconds)
	})
}

// peerResults is what an implementation's process prints.
type peerResults struct {
	Results []peerResult `json:"results"`
}

type peerResult struct {
	Bytes int     `json:"bytes"`
	US    float64 `json:"us"`
}

func printTimes(sizes []int, us []float64) error {
	var out peerResults
	for i, s := range sizes {
		out.Results = append(out.Results, peerResult{s, us[i]})
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// times runs a command that prints them.
func times(cmd *exec.Cmd, r reduction) ([]float64, error) {
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cmd.Path, withStderr(err))
	}
	var said peerResults
	if err := json.Unmarshal(out, &said); err != nil {
		return nil, fmt.Errorf("%s: %w", cmd.Path, err)
	}
	if len(said.Results) != len(r.Bytes) {
		return nil, fmt.Errorf("%s: %d results for %d sizes", cmd.Path, len(said.Results), len(r.Bytes))
	}
	var us []float64
	for _, x := range said.Results {
		us = append(us, x.US)
	}
	return us, nil
}
