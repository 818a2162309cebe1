package gray

import "context"

// GPUIDs returns the numbers of its node's GPUs that the task or actor that ctx belongs
// to holds, counted from 0: those of gray.NumGPUs. Of one of which it holds a part, as
// with gray.NumGPUs(0.5), others hold the rest. CUDA_VISIBLE_DEVICES names them, too.
func GPUIDs(ctx context.Context) []int {
	var out []int
	for _, n := range processOf(ctx).GPUs() {
		out = append(out, int(n))
	}
	return out
}
