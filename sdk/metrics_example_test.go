package gray_test

import (
	"context"
	"fmt"

	gray "github.com/gray-runtime/gray/sdk"
)

// Metrics are variables of the package, so that they're the same in all processes of a job.
var (
	words    = gray.NewCounter("words_total", "Words that were counted.", "language")
	inFlight = gray.NewGauge("documents_in_flight", "Documents that are being read.")
	lengths  = gray.NewHistogram("document_words", "Words of a document.", []float64{10, 100, 1000})
)

var countWords = gray.Task(func(ctx context.Context, text []string) (int, error) {
	inFlight.Add(1)
	defer inFlight.Add(-1)
	words.Add(float64(len(text)), "en")
	lengths.Observe(float64(len(text)))
	return len(text), nil
})

func ExampleCounter() {
	ctx := driver()
	n, err := gray.Get(ctx, countWords.Remote(ctx, []string{"to", "be"}))
	fmt.Println(n, err) // and the node has words_total{language="en",job_id="j1",node="n1"} 2
	// Output: 2 <nil>
}

type epoch struct {
	Run gray.Run
	N   int64
}

var trainEpoch = gray.Task(func(ctx context.Context, e epoch) (float64, error) {
	loss := 1 / float64(e.N)
	e.Run.Report(ctx, e.N, map[string]float64{"loss": loss})
	return loss, nil
})

func ExampleNewRun() {
	ctx := driver()
	run := gray.NewRun(ctx, gray.RunInfo{Name: "mnist", Kind: gray.Training, Steps: 4})
	defer run.End(ctx)
	for n := int64(1); n <= 4; n++ {
		loss, err := gray.Get(ctx, trainEpoch.Remote(ctx, epoch{run, n}))
		fmt.Println(loss, err)
	}
	// Output:
	// 1 <nil>
	// 0.5 <nil>
	// 0.3333333333333333 <nil>
	// 0.25 <nil>
}
