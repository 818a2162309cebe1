package objectstore

// node makes a tree of one block.
func (a *arena) node(offset, size int64) uint32 {
	t := a.spare
	if t == 0 {
		t = uint32(len(a.blocks))
		a.blocks = append(a.blocks, block{})
	} else {
		a.spare = a.blocks[t].left
	}
	a.seed ^= a.seed << 13 // xorshift: chance enough for a treap
	a.seed ^= a.seed >> 17
	a.seed ^= a.seed << 5
	a.blocks[t] = block{offset: offset, size: size, largest: size, priority: a.seed}
	a.count++
	return t
}

// pull computes what block t knows about its subtree.
func (a *arena) pull(t uint32) {
	b := &a.blocks[t]
	b.largest = max(b.size, a.blocks[b.left].largest, a.blocks[b.right].largest)
}

// insert adds the single node n to the tree t.
func (a *arena) insert(t, n uint32) uint32 {
	switch {
	case t == 0:
		return n
	case a.blocks[n].priority > a.blocks[t].priority:
		l, r := a.split(t, a.blocks[n].offset)
		a.blocks[n].left, a.blocks[n].right = l, r
		t = n
	case a.blocks[n].offset < a.blocks[t].offset:
		a.blocks[t].left = a.insert(a.blocks[t].left, n)
	default:
		a.blocks[t].right = a.insert(a.blocks[t].right, n)
	}
	a.pull(t)
	return t
}

// split divides the tree t into the blocks before and after offset.
func (a *arena) split(t uint32, offset int64) (l, r uint32) {
	if t == 0 {
		return 0, 0
	}
	if a.blocks[t].offset < offset {
		a.blocks[t].right, r = a.split(a.blocks[t].right, offset)
		l = t
	} else {
		l, a.blocks[t].left = a.split(a.blocks[t].left, offset)
		r = t
	}
	a.pull(t)
	return l, r
}

// merge joins two trees; all of l is before all of r.
func (a *arena) merge(l, r uint32) uint32 {
	switch {
	case l == 0:
		return r
	case r == 0:
		return l
	case a.blocks[l].priority > a.blocks[r].priority:
		a.blocks[l].right = a.merge(a.blocks[l].right, r)
		a.pull(l)
		return l
	default:
		a.blocks[r].left = a.merge(l, a.blocks[r].left)
		a.pull(r)
		return r
	}
}

// removeLast takes the last block of the path out of the tree and off the path.
func (a *arena) removeLast() {
	last := len(a.path) - 1
	t := a.path[last]
	a.path = a.path[:last]
	m := a.merge(a.blocks[t].left, a.blocks[t].right)
	switch {
	case last == 0:
		a.root = m
	case a.blocks[a.path[last-1]].left == t:
		a.blocks[a.path[last-1]].left = m
	default:
		a.blocks[a.path[last-1]].right = m
	}
	a.blocks[t] = block{left: a.spare}
	a.spare = t
	a.count--
}
