package collective

// The operations beside AllReduce in shared memory, a segment a round.

// each calls f for each segment of n bytes, once at least.
func each(n, segment int, f func(at, end int) error) error {
	for at := 0; at == 0 || at < n; at += segment {
		if err := f(at, min(n, at+segment)); err != nil {
			return err
		}
	}
	return nil
}

// pass is a round in which a member gives, if it does, and takes from some.
func (a *arena) pass(gives bool, give func(slot []byte), takes func(r int) bool, take func(r int, slot []byte)) error {
	slot, err := a.write()
	if err != nil {
		return err
	}
	if gives {
		give(slot)
	}
	a.post(a.round)
	all := true
	for r := range a.size {
		if r == a.rank {
			continue
		}
		if !takes(r) {
			all = false
			continue
		}
		slot, err := a.read(r)
		if err != nil {
			return err
		}
		take(r, slot)
	}
	if all {
		a.allCame()
	}
	a.next()
	return nil
}

func everybody(int) bool { return true }
func nobody(int) bool    { return false }

// only takes from one, or, if that's the member itself, from nobody.
func only(root int) func(int) bool { return func(r int) bool { return r == root } }

func (a *arena) broadcast(x []byte, root int) error {
	a.bytes.Add(uint64(len(x)))
	return each(len(x), a.segment, func(at, end int) error {
		return a.pass(a.rank == root, func(slot []byte) { copy(slot, x[at:end]) },
			only(root), func(_ int, slot []byte) { copy(x[at:end], slot) })
	})
}

// reduce combines all x in the root's.
func (a *arena) reduce(x []byte, k kernel, root int) error {
	a.bytes.Add(uint64(len(x)))
	takes := nobody
	if a.rank == root {
		takes = everybody
	}
	return each(len(x), a.segment, func(at, end int) error {
		err := a.pass(a.rank != root, func(slot []byte) { copy(slot, x[at:end]) },
			takes, func(_ int, slot []byte) { k.into(x[at:end], slot[:end-at]) })
		if err == nil && a.rank == root {
			k.finish(x[at:end], a.size)
		}
		return err
	})
}

func (a *arena) gather(out, x []byte, root int) error {
	a.bytes.Add(uint64(len(x)))
	n := len(x)
	takes := nobody
	if a.rank == root {
		takes = everybody
		copy(out[root*n:], x)
	}
	return each(n, a.segment, func(at, end int) error {
		return a.pass(a.rank != root, func(slot []byte) { copy(slot, x[at:end]) },
			takes, func(r int, slot []byte) { copy(out[r*n+at:r*n+end], slot) })
	})
}

func (a *arena) allGather(out, x []byte) error {
	a.bytes.Add(uint64(len(x)))
	n := len(x)
	copy(out[a.rank*n:], x)
	return each(n, a.segment, func(at, end int) error {
		return a.pass(true, func(slot []byte) { copy(slot, x[at:end]) },
			everybody, func(r int, slot []byte) { copy(out[r*n+at:r*n+end], slot) })
	})
}

// share is how much of a slot each member has, if a slot is for all.
func (a *arena) share() int { return a.segment / a.size &^ 63 }

// deal writes into a slot a part of what each other member is to get: x has one part of n bytes for each.
func (a *arena) deal(slot, x []byte, n, at, end int) {
	for r := range a.size {
		if r != a.rank {
			copy(slot[r*a.share():], x[r*n+at:r*n+end])
		}
	}
}

func (a *arena) mine(slot []byte, n int) []byte { return slot[a.rank*a.share():][:n] }

func (a *arena) scatter(out, x []byte, root int) error {
	a.bytes.Add(uint64(len(out)))
	n := len(out)
	if a.rank == root {
		copy(out, x[root*n:])
	}
	return each(n, a.share(), func(at, end int) error {
		return a.pass(a.rank == root, func(slot []byte) { a.deal(slot, x, n, at, end) },
			only(root), func(_ int, slot []byte) { copy(out[at:end], a.mine(slot, end-at)) })
	})
}

func (a *arena) reduceScatter(out, x []byte, k kernel) error {
	a.bytes.Add(uint64(len(x)))
	n := len(out)
	copy(out, x[a.rank*n:])
	return each(n, a.share(), func(at, end int) error {
		err := a.pass(true, func(slot []byte) { a.deal(slot, x, n, at, end) },
			everybody, func(_ int, slot []byte) { k.into(out[at:end], a.mine(slot, end-at)) })
		k.finish(out[at:end], a.size)
		return err
	})
}

func (a *arena) allToAll(out, x []byte) error {
	a.bytes.Add(uint64(len(x)))
	n := len(x) / a.size
	copy(out[a.rank*n:], x[a.rank*n:(a.rank+1)*n])
	return each(n, a.share(), func(at, end int) error {
		return a.pass(true, func(slot []byte) { a.deal(slot, x, n, at, end) },
			everybody, func(r int, slot []byte) { copy(out[r*n+at:r*n+end], a.mine(slot, end-at)) })
	})
}

func (a *arena) barrier() error {
	return a.pass(false, nil, everybody, func(int, []byte) {})
}
