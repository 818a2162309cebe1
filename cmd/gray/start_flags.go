package main

import (
	"encoding/json"
	"math"
	"net"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/daemon"
	"github.com/gray-runtime/gray/internal/machine"
)

// startFlags is the command line of gray start, as given.
type startFlags struct {
	head           bool
	address        string
	join           []string
	token          string
	port           int
	httpPort       int
	httpHosts      []string
	cpus           float64
	gpus           float64
	memory         string
	storeMemory    string
	spillDirs      []string
	resources      string
	labels         string
	threshold      float64
	limit          string
	ip             string
	dataDir        string
	logAge         time.Duration
	logSize        string
	block          bool
	asJSON         bool
	metricsAddress string
}

func (f *startFlags) register(c *cobra.Command) {
	s := c.Flags()
	s.BoolVar(&f.head, "head", false, "begin a new cluster, go on with the one in the data dir, or with --join add a head to one")
	s.StringVar(&f.address, "address", "", "join the cluster whose head is at `HOST:PORT`")
	s.StringSliceVar(&f.join, "join", nil, "add a head to the cluster that has one at `HOST:PORT`, or others behind commas; needless once it's a member")
	s.StringVar(&f.token, "token", "", "the cluster's token (default: GRAY_TOKEN, then ~/.gray/token)")
	s.IntVar(&f.port, "port", 6379, "control port of the head; 0 takes any free one")
	s.IntVar(&f.httpPort, "http-port", 8265, "HTTP port of the head, on loopback; 0 takes any free one")
	s.StringSliceVar(&f.httpHosts, "http-allowed-host", nil,
		"`NAME` besides localhost that the HTTP port answers to: a proxy's before it; may be given several times")
	s.Float64Var(&f.cpus, "num-cpus", float64(runtime.NumCPU()), "CPUs that this node offers")
	s.Float64Var(&f.gpus, "num-gpus", float64(machine.GPUs()), "GPUs that this node offers")
	s.StringVar(&f.memory, "memory", "", "`BYTES` of memory that this node offers, as 2000000000 or 2GiB (default: what the object store leaves)")
	s.StringVar(&f.storeMemory, "object-store-memory", "", "`BYTES` that the object store may take, as 2000000000 or 2GiB (default: 30% of the memory)")
	s.StringSliceVar(&f.spillDirs, "spill-dir", nil,
		"`DIR` for objects that the object store has no room for, or several, used in turn; none: they stay in memory (default: in the data dir)")
	s.StringVar(&f.resources, "resources", "", "other resources of this node, `JSON`: '{\"disk\": 2}'")
	s.StringVar(&f.labels, "labels", "", "labels of this node, `k=v,k=v`")
	s.Float64Var(&f.threshold, "memory-threshold", machine.MemoryThreshold,
		"`PART` of the machine's memory, or of a control group's, from which on tasks are killed; 0: never")
	s.StringVar(&f.limit, "memory-limit", "", "`BYTES` that the jobs' processes here may use together before tasks are killed (default: any)")
	s.StringVar(&f.ip, "node-ip-address", "", "`IP` at which other machines reach this one (default: found out)")
	s.StringVar(&f.metricsAddress, "metrics-address", "",
		"`HOST:PORT` where this node answers GET /metrics itself; port 0 takes any free one (default: only heads answer, for it, too)")
	s.StringVar(&f.dataDir, "data-dir", "", "`DIR` for state and logs (default: ~/.gray/data)")
	s.DurationVar(&f.logAge, "log-max-age", 7*24*time.Hour, "remove logs of jobs and processes that ended so `LONG` ago; 0: never")
	s.StringVar(&f.logSize, "log-max-bytes", "4GiB", "remove the oldest logs of what has ended when they have more than `BYTES` together; 0: never")
	s.BoolVar(&f.asJSON, "json", false, "print JSON: the head with its token, or the node")
	s.BoolVar(&f.block, "block", false, "stay in the foreground; Ctrl-C stops the daemons")
}

// nodeShape is what a node offers.
type nodeShape struct {
	resources  map[string]float64
	labels     map[string]string
	storeBytes int64
	spillDirs  []string // absolute; nil: the default, empty: none
	limitBytes int64    // 0: none
	logBytes   int64    // 0: none
}

// check looks at everything that can be judged without touching the machine.
func (f *startFlags) check(changed func(flag string) bool) error {
	switch {
	case f.head && f.address != "":
		return usagef("--head begins a cluster and --address joins one with a node: give only one of them, or --join to add a head")
	case !f.head && len(f.join) > 0:
		return usagef("--join adds a head: give --head too, or --address to join with a node only")
	case !f.head && f.address == "":
		return usagef("give --head to begin a cluster, or --address HOST:PORT to join one")
	case f.head && f.token != "" && len(f.join) == 0:
		return usagef("--token is for joining a cluster, with --join: a head that begins one makes its own")
	case !f.head && (changed("port") || changed("http-port") || changed("http-allowed-host")):
		return usagef("--port, --http-port and --http-allowed-host are the head's: a node has none")
	}
	if f.address != "" && !isAddress(f.address) {
		return usagef("--address %q isn't of the form HOST:PORT", f.address)
	}
	for _, a := range f.join {
		if !isAddress(a) {
			return usagef("--join: %q isn't of the form HOST:PORT", a)
		}
	}
	if err := f.checkPorts(); err != nil {
		return err
	}
	return f.checkOwn()
}

// checkPorts looks at the head's ports, and at the names that they answer to.
func (f *startFlags) checkPorts() error {
	for _, p := range []struct {
		flag string
		n    int
	}{{"port", f.port}, {"http-port", f.httpPort}} {
		if p.n < 0 || p.n > 65535 {
			return usagef("--%s %d isn't a port (0 to 65535; 0 takes any free one)", p.flag, p.n)
		}
	}
	for _, name := range f.httpHosts {
		if !hostName.MatchString(name) {
			return usagef("--http-allowed-host %q isn't a host's name: leave scheme, port and path away", name)
		}
	}
	if f.head && f.port == f.httpPort && f.port != 0 {
		return usagef("--port and --http-port are both %d", f.port)
	}
	return nil
}

// checkOwn looks at the addresses that are to be this node's.
func (f *startFlags) checkOwn() error {
	if _, port, err := net.SplitHostPort(f.metricsAddress); f.metricsAddress != "" && (err != nil || port == "") {
		return usagef("--metrics-address %q isn't of the form HOST:PORT", f.metricsAddress)
	}
	if f.ip != "" && net.ParseIP(f.ip) == nil {
		return usagef("--node-ip-address %q isn't an IP address", f.ip)
	}
	return nil
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

func isAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	n, numErr := strconv.Atoi(port)
	return err == nil && host != "" && numErr == nil && n >= 1 && n <= 65535
}

// shape reads what the node offers; total is the machine's memory.
func (f *startFlags) shape(total int64) (nodeShape, error) {
	s := nodeShape{resources: map[string]float64{}}
	for _, q := range []struct {
		flag, name string
		n          float64
	}{{"num-cpus", "CPU", f.cpus}, {"num-gpus", "GPU", f.gpus}} {
		if !(q.n >= 0) || math.IsInf(q.n, 1) {
			return s, usagef("--%s is %v: it can't be negative", q.flag, q.n)
		}
		if q.n > 0 {
			s.resources[q.name] = q.n
		}
	}
	memory, err := sizeFlag("memory", f.memory, total, -1)
	if err != nil {
		return s, err
	}
	s.storeBytes, err = sizeFlag("object-store-memory", f.storeMemory, total, machine.StoreShare(total))
	if err != nil {
		return s, err
	}
	switch {
	case memory < 0:
		memory = total - s.storeBytes
	case f.storeMemory != "" && memory+s.storeBytes > total:
		return s, usagef("--memory and --object-store-memory are %s together, but this machine has %s",
			formatSize(memory+s.storeBytes), formatSize(total))
	}
	if memory > 0 {
		s.resources["memory"] = float64(memory)
	}
	if !(f.threshold >= 0 && f.threshold <= 1) {
		return s, usagef("--memory-threshold is %v: it must be 0 to 1", f.threshold)
	}
	if s.limitBytes, err = sizeFlag("memory-limit", f.limit, total, 0); err != nil {
		return s, err
	}
	if f.logAge < 0 {
		return s, usagef("--log-max-age is %v: it can't be negative", f.logAge)
	}
	if s.logBytes, err = sizeFlag("log-max-bytes", f.logSize, math.MaxInt64, 0); err != nil {
		return s, err
	}
	if err := addResources(s.resources, f.resources); err != nil {
		return s, err
	}
	if s.labels, err = parseLabels(f.labels); err != nil {
		return s, err
	}
	s.spillDirs, err = parseSpillDirs(f.spillDirs)
	return s, err
}

// noSpill is what --spill-dir is given when nothing is to be spilled.
const noSpill = "none"

func parseSpillDirs(given []string) ([]string, error) {
	if len(given) == 1 && given[0] == noSpill {
		return []string{}, nil
	}
	var dirs []string
	for _, d := range given {
		if d == "" || d == noSpill {
			return nil, usagef("--spill-dir %q isn't a directory among others: give directories, or %s alone", d, noSpill)
		}
		dir, err := filepath.Abs(d)
		if err != nil {
			return nil, err
		}
		if slices.Contains(dirs, dir) {
			return nil, usagef("--spill-dir names %s twice", dir)
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// sizeFlag reads a flag that holds a number of bytes of the machine's memory.
func sizeFlag(name, text string, total, unset int64) (int64, error) {
	if text == "" {
		return unset, nil
	}
	n, err := parseSize(text)
	if err != nil {
		return 0, usagef("--%s: %w", name, err)
	}
	if n > total {
		return 0, usagef("--%s is %s (%d bytes), but this machine has %s (%d bytes)", name, formatSize(n), n, formatSize(total), total)
	}
	if n == 0 && name == "object-store-memory" {
		return 0, usagef("--%s can't be 0", name)
	}
	return n, nil
}

// ownFlags names the flag for each resource that --resources may not name.
var ownFlags = map[string]string{
	"CPU": "--num-cpus", "GPU": "--num-gpus", "memory": "--memory", "object_store_memory": "--object-store-memory",
}

// maxQuantity keeps sums of quantities, counted in 1/10,000, far from overflow.
const maxQuantity = 1e12

func addResources(to map[string]float64, text string) error {
	if text == "" {
		return nil
	}
	var given map[string]any
	if err := json.Unmarshal([]byte(text), &given); err != nil {
		return usagef("--resources %s isn't a JSON object of numbers (example: '{\"disk\": 2}'): %w", text, err)
	}
	for name, value := range given {
		n, isNumber := value.(float64)
		switch {
		case ownFlags[name] != "":
			return usagef("--resources: %s has a flag of its own, %s", name, ownFlags[name])
		case strings.TrimSpace(name) == "":
			return usagef("--resources: a resource without a name")
		case !isNumber:
			return usagef("--resources: %s isn't a number", name)
		case n < 0:
			return usagef("--resources: %s is %v: it can't be negative", name, n)
		case n > maxQuantity:
			return usagef("--resources: %s is %v: the most is %v", name, n, float64(maxQuantity))
		case n != math.Trunc(n*10000)/10000:
			return usagef("--resources: %s is %v: the smallest part is 0.0001", name, n)
		}
		to[name] = n
	}
	return nil
}

var labelPart = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$`)

// parseLabels reads k=v,k=v.
func parseLabels(text string) (map[string]string, error) {
	labels := map[string]string{}
	if text == "" {
		return labels, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		k, v, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || !labelPart.MatchString(k) || v != "" && !labelPart.MatchString(v) {
			return nil, usagef("--labels: %q isn't of the form key=value (letters, digits and . _ / - inside, 63 at most)", part)
		}
		if _, twice := labels[k]; twice {
			return nil, usagef("--labels: %s is given twice", k)
		}
		labels[k] = v
	}
	return labels, nil
}

// dataRoot is the folder below which this host's daemons keep their data.
func (f *startFlags) dataRoot() (string, error) {
	if f.dataDir != "" {
		return filepath.Abs(f.dataDir)
	}
	home, err := daemon.Home()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, "data"), nil
}

// sortedKeys is the keys of m in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
