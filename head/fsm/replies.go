package fsm

// replies are the results of the latest commands that may be sent again, while
// the state is of version 1.
type replies struct {
	results map[replyKey]*Result
	order   []replyKey // oldest first
}

type replyKey struct {
	client   string
	sequence uint64
}

func newReplies() replies { return replies{results: map[replyKey]*Result{}} }

func (r *replies) get(client string, sequence uint64) *Result {
	return r.results[replyKey{client, sequence}]
}

func (r *replies) put(client string, sequence uint64, result *Result) {
	k := replyKey{client, sequence}
	if r.results[k] == nil {
		r.order = append(r.order, k)
	}
	r.results[k] = result
	for len(r.order) > keepReplies {
		delete(r.results, r.order[0])
		r.order = r.order[1:]
	}
}

func (r *replies) records() []*ReplyRecord {
	out := make([]*ReplyRecord, 0, len(r.order))
	for _, k := range r.order {
		out = append(out, &ReplyRecord{Client: k.client, Sequence: k.sequence, Result: r.results[k]})
	}
	return out
}
