package codec_test

import (
	"fmt"

	"github.com/gray-runtime/gray/objectstore/codec"
)

func Example() {
	type Result struct {
		Name   string
		Losses []float64
	}
	c, err := codec.For[Result]()
	if err != nil {
		fmt.Println(err)
		return
	}
	in := Result{"run-1", []float64{8, 7, 6, 5, 4, 3, 2, 1}}
	size, _ := c.Size(&in, nil)
	object, _ := c.Append(make([]byte, 0, size), &in, nil)

	var out Result
	if err := c.View(object, &out, nil); err != nil { // Losses lie in object
		fmt.Println(err)
		return
	}
	fmt.Println(out.Name, out.Losses[7])

	_, err = codec.For[struct{ Done chan int }]()
	fmt.Println(err)
	// Output:
	// run-1 1
	// struct { Done chan int }.Done: chan int can't be encoded
}
