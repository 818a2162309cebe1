package sched

import (
	"fmt"
	"math"
	"strconv"
)

// Quantity is an amount of a resource in units of 1/10,000.
type Quantity int64

// Unit is 1 of a resource: one CPU, one GPU, one byte of memory.
const Unit Quantity = 10_000

// MaxWhole is the largest amount that Q takes: as bytes of memory 256 TiB.
const MaxWhole = 1 << 48

// Q makes a Quantity of x, rounded to the nearest 1/10,000. It fails for what is
// negative, not a number, or over MaxWhole.
func Q(x float64) (Quantity, error) {
	switch {
	case math.IsNaN(x):
		return 0, fmt.Errorf("NaN: %w", ErrQuantity)
	case x < 0:
		return 0, fmt.Errorf("%v is negative: %w", x, ErrQuantity)
	case x > MaxWhole:
		return 0, fmt.Errorf("%v is over %d: %w", x, int64(MaxWhole), ErrQuantity)
	}
	whole, part := math.Modf(x) // apart, since the product may need more bits than a float64 has
	return Quantity(whole)*Unit + Quantity(math.Round(part*float64(Unit))), nil
}

// Float gives q as the number that it stands for.
func (q Quantity) Float() float64 {
	return float64(q/Unit) + float64(q%Unit)/float64(Unit)
}

// String gives q exactly, as in "0.5".
func (q Quantity) String() string {
	return string(q.append(nil))
}

func (q Quantity) append(b []byte) []byte {
	whole, part := q/Unit, q%Unit
	if part < 0 {
		part = -part
		if whole == 0 {
			b = append(b, '-')
		}
	}
	b = strconv.AppendInt(b, int64(whole), 10)
	if part == 0 {
		return b
	}
	b = append(b, '.')
	for scale := Unit / 10; part > 0; scale /= 10 {
		b = append(b, byte('0'+part/scale))
		part %= scale
	}
	return b
}

// plus adds without passing over the ends of the range.
func (q Quantity) plus(o Quantity) Quantity {
	sum := q + o
	switch {
	case o > 0 && sum < q:
		return math.MaxInt64
	case o < 0 && sum > q:
		return -math.MaxInt64
	}
	return max(sum, -math.MaxInt64) // so that every Quantity has its negative
}

// amount gives q for a reader: of memory in the unit that suits.
func amount(name string, q Quantity) string {
	if name != "memory" && name != "object_store_memory" {
		return q.String()
	}
	const step = 1024
	x, i := q.Float(), 0
	units := [...]string{"B", "KiB", "MiB", "GiB", "TiB"}
	for math.Abs(x) >= step && i < len(units)-1 {
		x /= step
		i++
	}
	return strconv.FormatFloat(math.Round(x*100)/100, 'f', -1, 64) + " " + units[i]
}
