package sched

// StrategyKind is how a node is chosen among those that have room.
type StrategyKind int

// The strategies. The package's comment says what each does.
const (
	Pack     StrategyKind = iota // near, until that's well used; then the least utilised
	Spread                       // the least utilised
	Affinity                     // Demand.Node
)

// String gives the strategy's name.
func (k StrategyKind) String() string {
	switch k {
	case Spread:
		return "spread"
	case Affinity:
		return "affinity"
	case Pack:
	}
	return "pack"
}

// What the strategies go by.
const (
	// PackThreshold is how far the local node may be utilised while Pack prefers it.
	PackThreshold = 0.5
	// Few is how many of the best nodes a decision draws from at most.
	Few = 8
	// FewMargin is how much fuller than the best node another of the few may be.
	FewMargin = 0.1
	// LocalityBytes is how many bytes of inputs a node must hold to be preferred for them.
	LocalityBytes = 1 << 20
)

// Locality says how many bytes of a demand's inputs a node holds.
type Locality struct {
	Node  NodeID
	Bytes int64
}

// Fallback is where a demand may go if its own strategy finds no room now.
type Fallback struct {
	Strategy StrategyKind
	Node     NodeID
	Soft     bool
	Selector []Selector
}

// Demand is what needs a node.
type Demand struct {
	Resources Resources
	Strategy  StrategyKind
	Node      NodeID     // for Affinity
	Soft      bool       // for Affinity: another node will do if that one isn't there or could never
	Selector  []Selector // all must hold
	Fallback  []Fallback // tried in order; it waits by the first strategy that could ever be met
	Local     NodeID     // where it comes from; 0: no node is nearer than others

	// LocalIfFits makes Pack take the local node whenever it has room, however far
	// utilised it is and wherever the inputs are: for a demand that another node
	// has passed on already.
	LocalIfFits bool

	Inputs []Locality // for Pack; of several for one node the largest counts

	// Refused are nodes that have just refused it: they have no room for it now,
	// whatever the Snapshot says.
	Refused []NodeID
}

// Decision says where a demand goes.
type Decision struct {
	Node     NodeID   // where it runs, or where it waits; 0: it's infeasible
	Fits     bool     // the node has room now
	Feasible bool     // some node could ever run it, by what it has in all
	Reasons  []Reason // why nodes refused; only if it doesn't fit
}
