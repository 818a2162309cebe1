package trainlib_test

import (
	"fmt"
	"time"

	"github.com/gray-runtime/gray/trainlib"
)

// A model of 100 million float32 parameters on one machine of four cores.
func ExampleAdvise() {
	advice, err := trainlib.Advise(
		trainlib.ModelFacts{Parameters: 100e6, Number: 4, State: 2, Sample: 10 * time.Millisecond},
		trainlib.DataFacts{Batch: 256},
		trainlib.ClusterFacts{Nodes: 1, Workers: 4, Cores: 4, Within: trainlib.LinkFacts{Latency: 10 * time.Microsecond, Bandwidth: 10e9}},
	)
	fmt.Println(advice.Best, err)
	// Output: allreduce on 4 workers <nil>
}
