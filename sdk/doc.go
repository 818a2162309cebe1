// Package gray runs functions and actors on a cluster, or on an embedded one
// when there is none.
//
// Declare tasks and actors as package-level variables, so that every process
// of the job knows them, and hand the program to Main:
//
//	var square = gray.Task(func(ctx context.Context, x int) (int, error) { return x * x, nil })
//
//	func main() {
//		gray.Main(func(ctx context.Context) error {
//			n, err := gray.Get(ctx, square.Remote(ctx, 7))
//			fmt.Println(n)
//			return err
//		})
//	}
//
// Remote returns at once, with a typed reference to the result. References may
// be passed to other tasks, by RemoteRef as the input itself or inside an input;
// a task starts when every reference in its input is complete. Get waits for a
// value and copies it, View reads it in place.
//
// An actor lives while any process has its Handle, which may be passed like a reference,
// or a call of it is under way; one with a Name as long as its job, a Detached one
// until it's killed. One that is restarted (MaxRestarts)
// goes on with the state that it saved last, if it is a Saver.
//
// Errors are typed: TaskError, WorkerCrashedError, ActorDiedError and the others of
// errors.go, for errors.As; a cancelled task's error is context.Canceled to
// errors.Is, a timed-out one's context.DeadlineExceeded.
//
// The package owns the typed surface only. What it rests on is in
// sdk/internal/process; it never places work itself.
package gray
