package gray_test

import (
	"context"
	"errors"
	"fmt"

	gray "github.com/gray-runtime/gray/sdk"
)

// driver is the context of a driver; a job gets its own from gray.Main.
func driver() context.Context { return cluster0().ctx }

// cluster0 is the tests' shared cluster.
func cluster0() *cluster {
	common.Do(startCommon)
	if common.err != nil {
		panic(common.err)
	}
	return common.c
}

var cube = gray.Task(func(ctx context.Context, x int) (int, error) { return x * x * x, nil })

func ExampleTask() {
	ctx := driver()
	n, err := gray.Get(ctx, cube.Remote(ctx, 3))
	fmt.Println(n, err)
	// A reference may be the input of another task, which starts when it's complete.
	n, err = gray.Get(ctx, cube.RemoteRef(ctx, cube.Remote(ctx, 2)))
	fmt.Println(n, err)
	// Output:
	// 27 <nil>
	// 512 <nil>
}

// Account is an actor's type: each instance lives in a process of its own.
type Account struct{ balance int }

func openAccount(ctx context.Context, start int) (*Account, error) { return &Account{start}, nil }

// Deposit can be called from any process that has a handle.
func (a *Account) Deposit(ctx context.Context, n int) (int, error) {
	if n < 0 {
		return 0, errors.New("a negative amount")
	}
	a.balance += n
	return a.balance, nil
}

var account = gray.Actor(openAccount)

func ExampleActor() {
	ctx := driver()
	h := account.Remote(ctx, 100)
	gray.Call(ctx, h, (*Account).Deposit, 20)
	n, err := gray.Get(ctx, gray.Call(ctx, h, (*Account).Deposit, 3))
	fmt.Println(n, err)
	_, err = gray.Get(ctx, gray.Call(ctx, h, (*Account).Deposit, -1))
	var failed *gray.TaskError
	fmt.Println(errors.As(err, &failed), failed.Message)
	fmt.Println(gray.Kill(ctx, h))
	// Output:
	// 123 <nil>
	// true a negative amount
	// <nil>
}

var countdown = gray.Stream(func(ctx context.Context, from int, yield func(int) bool) error {
	for i := from; i > 0; i-- {
		if !yield(i) {
			return nil // nobody wants more
		}
	}
	return nil
})

func ExampleStream() {
	ctx := driver()
	for ref, err := range countdown.Remote(ctx, 1000) {
		if err != nil {
			fmt.Println(err)
			return
		}
		n, _ := gray.Get(ctx, ref)
		fmt.Println(n)
		if n == 998 {
			break // ends the task
		}
	}
	// Output:
	// 1000
	// 999
	// 998
}

func ExamplePut() {
	ctx := driver()
	table, err := gray.Put(ctx, []float64{1, 2, 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	// View reads in place, Get copies.
	err = gray.View(ctx, table, func(x []float64) error {
		fmt.Println(len(x), x[2])
		return nil
	})
	mine, _ := gray.Get(ctx, table)
	mine[0] = 10
	fmt.Println(mine, err)
	// Output:
	// 3 3
	// [10 2 3] <nil>
}

func ExampleCompleted() {
	ctx := driver()
	refs := []gray.Ref[int]{cube.Remote(ctx, 1), cube.Remote(ctx, 2), cube.Remote(ctx, 3)}
	for n, err := range gray.Completed(ctx, refs) {
		fmt.Println(n, err)
	}
	// Unordered output:
	// 1 <nil>
	// 8 <nil>
	// 27 <nil>
}

func ExampleConnect() {
	address := "unix:" + cluster0().Sockets()[0] // or HOST:PORT of a head, or "auto"
	s, err := gray.Connect(context.Background(), address)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	ctx, cancel := s.Context(context.Background())
	defer cancel()
	n, err := gray.Get(ctx, cube.Remote(ctx, 4))
	fmt.Println(n, err)
	// Output: 64 <nil>
}
