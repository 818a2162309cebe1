package proto

import (
	"fmt"
	"slices"
)

// Misfit says why the bundle that a strategy names, or any bundle if it takes any,
// could never hold resources; "": it could.
func (x *GroupSpec) Misfit(s *Strategy, r *Resources) string {
	fits := func(b *Bundle) bool {
		for name, n := range r.GetQuantity() {
			if n > b.GetResources().GetQuantity()[name] {
				return false
			}
		}
		return true
	}
	switch {
	case s.GetAnyBundle():
		if !slices.ContainsFunc(x.GetBundles(), fits) {
			return "no bundle of the placement group has the resources that it needs"
		}
	case int(s.GetBundle()) >= len(x.GetBundles()):
		return fmt.Sprintf("the placement group has no bundle %d: they are numbered 0 to %d", s.GetBundle(), len(x.GetBundles())-1)
	case !fits(x.Bundles[s.Bundle]):
		return fmt.Sprintf("bundle %d of the placement group has less than the resources that it needs", s.GetBundle())
	}
	return ""
}
