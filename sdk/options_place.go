package gray

import (
	"fmt"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/proto"
)

// maxFallbacks is how many fallbacks a task or actor may have, in Prefer and Fallback together.
const maxFallbacks = 16

// place gives the strategy for an option to change: one of its own, since options that share
// a default must not see each other's changes.
func (o *options) place() *proto.Strategy {
	if o.strategy == nil {
		o.strategy = &proto.Strategy{}
	} else {
		o.strategy = protobuf.CloneOf(o.strategy)
	}
	return o.strategy
}

// OnNode places on the node with this number only: if that isn't in the cluster, or no more,
// a task fails with an UnschedulableError, and an actor is dead. soft: elsewhere if that node isn't in the cluster or could
// never take it; while it's just busy, the task or actor waits for it.
func OnNode(node uint32, soft bool) Option {
	return func(o *options) {
		s := o.place()
		s.Kind, s.Node, s.Soft = proto.Strategy_AFFINITY, node, soft
	}
}

// Spread places on the node with the least to do rather than filling one first.
func Spread() Option {
	return func(o *options) { o.place().Kind = proto.Strategy_SPREAD }
}

// Selector is a condition on the labels of a node, which gray start --labels gives it.
type Selector struct{ s *proto.LabelSelector }

// LabelIn: the node has the label, with one of these values.
func LabelIn(key string, values ...string) Selector {
	return Selector{&proto.LabelSelector{Key: key, Op: proto.LabelSelector_IN, Values: values}}
}

// LabelNotIn: the node hasn't the label, or none of these values.
func LabelNotIn(key string, values ...string) Selector {
	return Selector{&proto.LabelSelector{Key: key, Op: proto.LabelSelector_NOT_IN, Values: values}}
}

// LabelExists: the node has the label.
func LabelExists(key string) Selector {
	return Selector{&proto.LabelSelector{Key: key, Op: proto.LabelSelector_EXISTS}}
}

// LabelNotExists: the node hasn't the label.
func LabelNotExists(key string) Selector {
	return Selector{&proto.LabelSelector{Key: key, Op: proto.LabelSelector_NOT_EXISTS}}
}

// OnLabels places only on nodes that meet all of these. While there's none, it waits.
func OnLabels(selectors ...Selector) Option {
	return func(o *options) {
		s := o.place()
		for _, l := range selectors {
			s.Labels = append(s.Labels, l.s)
		}
	}
}

// PreferLabels places on nodes that meet all of these too, while one of them has room; else
// as if it weren't given. Options that choose nodes count if they come before it.
func PreferLabels(selectors ...Selector) Option {
	return func(o *options) {
		s := o.place()
		without := protobuf.CloneOf(s)
		fallbacks := without.Fallback
		without.Fallback = nil
		s.Fallback = append([]*proto.Strategy{without}, fallbacks...)
		for _, l := range selectors {
			s.Labels = append(s.Labels, l.s)
		}
		o.checkFallbacks("PreferLabels")
	}
}

// Fallback places as these options say (OnNode, Spread, OnLabels) where those before it find
// no node with room. Given several times, they are tried in order.
func Fallback(opts ...Option) Option {
	return func(o *options) {
		other := options{resources: map[string]int64{}}.with(opts)
		next := other.place()
		if len(next.Fallback) > 0 || len(other.resources) > 0 {
			panic(fmt.Sprintf("gray: Fallback at %s: want OnNode, Spread and OnLabels only", callSite()))
		}
		s := o.place()
		s.Fallback = append(s.Fallback, next)
		o.checkFallbacks("Fallback")
	}
}

func (o *options) checkFallbacks(option string) {
	if len(o.strategy.Fallback) > maxFallbacks {
		panic(fmt.Sprintf("gray: %s at %s: over %d fallbacks", option, callSite(), maxFallbacks))
	}
}

// avoidPrefix begins the names of resources of which every node has one; so in package sched.
const avoidPrefix = "avoid/"

// Avoid keeps apart those that have the same key: no two of them, of whatever job, run on one
// node at a time. Where every node has one, the next waits.
func Avoid(key string) Option { return Resource(avoidPrefix+key, 1) }
