package semantics

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/internal/api"
)

// TestP34AllIsGivenBack comes last, as its file does: nothing is left of all rows.
func TestP34AllIsGivenBack(t *testing.T) {
	for _, s := range []*shared{&one, &pair} {
		ctx := on(t, s)
		runtime.GC()
		for _, resource := range []string{"CPU", "slot", "GPU", "memory"} {
			s.free(ctx, t, resource)
		}
		s.freed(ctx, t, 1)
		until(ctx, t, "no actor of theirs lives", func() bool {
			list, err := s.api.Actors(ctx, api.ListOptions{Filters: []api.Filter{{Key: "state", Op: "!=", Value: "DEAD"}}})
			return err == nil && !slices.ContainsFunc(list.Result, func(a api.ActorRow) bool { return strings.HasPrefix(a.ClassName, "semantics.") })
		})
		until(ctx, t, "no task is known", func() bool {
			list, err := s.api.Tasks(ctx, api.ListOptions{Filters: []api.Filter{{Key: "state", Op: "=", Value: "RUNNING"}}})
			return err == nil && len(list.Result) == 0
		})
	}
}
