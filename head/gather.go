package head

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

const (
	gatherLimit = 2 * time.Second
	gatherers   = 16
)

// gather asks all living nodes something, a few at a time. Answers are in the
// order of nodes; who doesn't answer in time is named in the warnings.
func gather[T any](ctx context.Context, h *Head, ask func(context.Context, *proto.NodeInfo, proto.NodeClient) (T, error)) ([]T, []string) {
	return gatherWithin(ctx, h, gatherLimit, ask)
}

// gatherWithin is gather for what takes longer, or less.
func gatherWithin[T any](
	ctx context.Context, h *Head, limit time.Duration, ask func(context.Context, *proto.NodeInfo, proto.NodeClient) (T, error),
) ([]T, []string) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	infos := h.leader.infos()
	answers, errs := make([]T, len(infos)), make([]error, len(infos))
	places := make(chan struct{}, gatherers)
	var all sync.WaitGroup
	for i, info := range infos {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			conn, err := h.nodes.get(info.Id, info.Address)
			if err == nil {
				answers[i], err = ask(ctx, info, proto.NewNodeClient(conn))
			}
			errs[i] = err
		})
	}
	all.Wait()
	var out []T
	var warnings []string
	for i, err := range errs {
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("node %s didn't answer: %s", ids.NodeID(infos[i].Id), status.Convert(err).Message()))
			continue
		}
		out = append(out, answers[i])
	}
	return out, warnings
}
