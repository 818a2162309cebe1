package process

// taskQueue is a first-in first-out queue over a ring that grows and shrinks.
type taskQueue struct {
	ring  []*Task
	head  int
	count int
}

func (q *taskQueue) len() int { return q.count }

func (q *taskQueue) push(t *Task) {
	if q.count == len(q.ring) {
		q.resize(max(16, 2*len(q.ring)))
	}
	q.ring[(q.head+q.count)&(len(q.ring)-1)] = t
	q.count++
}

// pushFront puts t before all others.
func (q *taskQueue) pushFront(t *Task) {
	if q.count == len(q.ring) {
		q.resize(max(16, 2*len(q.ring)))
	}
	q.head = (q.head - 1) & (len(q.ring) - 1)
	q.ring[q.head] = t
	q.count++
}

// pop takes the first task, nil when there is none.
func (q *taskQueue) pop() *Task {
	if q.count == 0 {
		return nil
	}
	t := q.ring[q.head]
	q.ring[q.head] = nil
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.count--
	if len(q.ring) > 1024 && q.count < len(q.ring)/4 {
		q.resize(len(q.ring) / 2)
	}
	return t
}

// peek returns the i-th task from the front.
func (q *taskQueue) peek(i int) *Task { return q.ring[(q.head+i)&(len(q.ring)-1)] }

// take removes the task with this object number: the first, as a rule.
func (q *taskQueue) take(number uint64) *Task {
	for i := range q.count {
		t := q.peek(i)
		if t.obj.id.Number != number {
			continue
		}
		mask := len(q.ring) - 1
		for ; i > 0; i-- {
			q.ring[(q.head+i)&mask] = q.ring[(q.head+i-1)&mask]
		}
		q.pop()
		return t
	}
	return nil
}

// find returns the task with this object number without removing it.
func (q *taskQueue) find(number uint64) *Task {
	for i := range q.count {
		if t := q.peek(i); t.obj.id.Number == number {
			return t
		}
	}
	return nil
}

// keep drops the tasks that keep refuses.
func (q *taskQueue) keep(keep func(*Task) bool) {
	n := q.count
	for range n {
		if t := q.pop(); keep(t) {
			q.push(t)
		}
	}
}

func (q *taskQueue) resize(n int) {
	ring := make([]*Task, n)
	for i := range q.count {
		ring[i] = q.peek(i)
	}
	q.ring, q.head = ring, 0
}
