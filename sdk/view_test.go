package gray_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

// bundle is a value with arrays of all kinds.
type bundle struct {
	Name    string
	Weights gray.Tensor[float32]
	Inner   struct{ Bias []float64 }
	Masks   [][]byte
}

func newBundle() bundle {
	b := bundle{Name: strings.Repeat("long ", 100), Masks: [][]byte{make([]byte, 100_000), []byte("short")}}
	b.Weights = gray.Tensor[float32]{Shape: []int{300, 2, 50}, Data: make([]float32, 30_000)}
	b.Inner.Bias = make([]float64, 10_000)
	for i := range b.Inner.Bias {
		b.Weights.Data[i], b.Inner.Bias[i], b.Masks[0][i] = float32(i), float64(-i), byte(i)
	}
	return b
}

// inStore lists the addresses of v that don't lie in the read-only view of a store.
func inStore(v map[string]unsafe.Pointer) ([]string, error) {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	outside := map[string]bool{}
	for name := range v {
		outside[name] = true
	}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var from, to uintptr
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); err != nil {
			return nil, err
		}
		for name, p := range v {
			if strings.Contains(lines.Text(), "gray-objects") && mode == "r--s" && uintptr(p) >= from && uintptr(p) < to {
				delete(outside, name)
			}
		}
	}
	var list []string
	for name := range outside {
		list = append(list, name)
	}
	return list, lines.Err()
}

var (
	// viewsBundle sees that no array of a nested value was copied, and returns one that was.
	viewsBundle = gray.Task(func(ctx context.Context, r []gray.Ref[bundle]) (bundle, error) {
		err := gray.View(ctx, r[0], func(b bundle) error {
			outside, err := inStore(map[string]unsafe.Pointer{
				"Name": unsafe.Pointer(unsafe.StringData(b.Name)), "Weights": unsafe.Pointer(&b.Weights.Data[0]),
				"Bias": unsafe.Pointer(&b.Inner.Bias[0]), "Masks": unsafe.Pointer(&b.Masks[0][0]),
			})
			if len(outside) > 0 {
				err = errors.Join(err, fmt.Errorf("%v were copied", outside))
			}
			return err
		})
		if err != nil {
			return bundle{}, err
		}
		return gray.Get(ctx, r[0])
	})
	// spoils writes to what it views.
	spoils = gray.Task(func(ctx context.Context, r []gray.Ref[bundle]) (int, error) {
		return 0, gray.View(ctx, r[0], func(b bundle) error {
			b.Inner.Bias[5] = 1e9
			return nil
		})
	})
)

// TestViewOfNestedArrays: a struct's arrays are all read in place, and one task that writes
// to them fails, without harm to the object or to others.
func TestViewOfNestedArrays(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	want := newBundle()
	r, err := gray.Put(ctx, want)
	if err != nil {
		t.Fatal(err)
	}
	in := []gray.Ref[bundle]{r}
	for range 2 {
		if got := get(ctx, t, viewsBundle.Remote(ctx, in)); !reflect.DeepEqual(got, want) {
			t.Error("the value has changed")
		}
		e := fails[*gray.TaskError](ctx, t, spoils.Remote(ctx, in))
		contains(t, e.Message, "viewed value", "read-only", "fault at address")
	}
}

// TestPutsWithoutReferences: what is dropped at once makes room for what follows.
func TestPutsWithoutReferences(t *testing.T) {
	ctx := limited(ownCluster(t, embed.Options{CPUs: 1, StoreBytes: 400 << 20}).ctx, t)
	v := make([]float64, 100_000_000/8)
	for i := range 20 {
		if _, err := gray.Put(ctx, v); err != nil {
			t.Fatalf("put %d: %v", i, err)
		}
	}
}
