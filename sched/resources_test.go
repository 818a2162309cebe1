package sched

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"
)

func TestQ(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		x    float64
		want Quantity
		text string
	}{
		{0, 0, "0"},
		{1, Unit, "1"},
		{0.1, 1000, "0.1"},
		{0.00004, 0, "0"},
		{0.00005, 1, "0.0001"},
		{0.99999, Unit, "1"},
		{1.25, 12500, "1.25"},
		{1<<40 + 1, (1<<40 + 1) * Unit, "1099511627777"},
		{MaxWhole, MaxWhole * Unit, "281474976710656"},
	} {
		q, err := Q(c.x)
		if err != nil || q != c.want || q.String() != c.text {
			t.Errorf("%v: %d %v, %v", c.x, q, q, err)
		}
		if math.Abs(q.Float()-c.x) > 0.00005 {
			t.Errorf("%v: back %v", c.x, q.Float())
		}
	}
	for _, x := range []float64{-1, -0.00001, math.NaN(), math.Inf(1), math.Inf(-1), MaxWhole * 1.01} {
		if q, err := Q(x); !errors.Is(err, ErrQuantity) {
			t.Errorf("%v: %v, %v", x, q, err)
		}
	}
	for q, want := range map[Quantity]string{-5000: "-0.5", -25000: "-2.5", -Unit: "-1"} {
		if q.String() != want {
			t.Errorf("%d: %v", q, q)
		}
	}
}

func TestResources(t *testing.T) {
	t.Parallel()
	r, err := FromMap(map[string]float64{"GPU": 0.5, "CPU": 2, "x": 0})
	if err != nil || r.String() != "CPU:2 GPU:0.5" || r.Get("GPU") != Unit/2 || r.Get("x") != 0 {
		t.Fatal(r, err)
	}
	if sum := r.Add(cpus(1)); sum.String() != "CPU:3 GPU:0.5" || r.String() != "CPU:2 GPU:0.5" {
		t.Error(sum, r)
	}
	if d := cpus(1).Sub(r); d.String() != "CPU:-1 GPU:-0.5" {
		t.Error(d)
	}
	if d := r.Sub(r); !d.IsZero() || d.String() != "" || !d.Equal(Resources{}) {
		t.Error(d)
	}
	if !cpus(2).Fits(r) || cpus(2.5).Fits(r) || !(Resources{}).Fits(r) || r.Fits(cpus(2)) || !cpus(-1).Fits(Resources{}) {
		t.Error("Fits is wrong")
	}
	most := FromUnits(map[string]int64{"CPU": math.MaxInt64})
	if most.Add(most).Get("CPU") != math.MaxInt64 || cpus(-1).Sub(most).Sub(most).Get("CPU") != -math.MaxInt64 {
		t.Error("a sum passed over the end")
	}
	if !FromUnits(r.ToUnits()).Equal(r) {
		t.Error(r.ToUnits())
	}
	if back, err := FromMap(r.ToMap()); err != nil || !back.Equal(r) {
		t.Error(back, err)
	}
	var names []string
	for name := range r.All() {
		names = append(names, name)
		if len(names) == 1 {
			break
		}
	}
	if !slices.Equal(names, []string{"CPU"}) {
		t.Error(names)
	}
}

func TestResourcesAsJSON(t *testing.T) {
	t.Parallel()
	r, err := FromMap(map[string]float64{"GPU": 0.5, "CPU": 1, `a"b`: 3, "memory": 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(r)
	if want := `{"CPU":1,"GPU":0.5,"a\"b":3,"memory":1099511627776}`; err != nil || string(b) != want {
		t.Fatalf("%s, %v", b, err)
	}
	var back Resources
	if err := json.Unmarshal(b, &back); err != nil || !back.Equal(r) {
		t.Fatal(back, err)
	}
	if b, err := json.Marshal(Resources{}); err != nil || string(b) != "{}" {
		t.Errorf("%s, %v", b, err)
	}
	for bad, want := range map[string]error{`{"CPU":-1}`: ErrQuantity, `{"":1}`: ErrName, `{"CPU":1e300}`: ErrQuantity} {
		if err := json.Unmarshal([]byte(bad), &back); !errors.Is(err, want) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if err := json.Unmarshal([]byte(`["CPU"]`), &back); err == nil {
		t.Error("a list was read")
	}
}

// FuzzResourcesJSON: what is read is written so that it's read the same.
func FuzzResourcesJSON(f *testing.F) {
	f.Add([]byte(`{"CPU":1,"GPU":0.5,"memory":1073741824}`))
	f.Add([]byte(`{"":1,"x":-1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, again Resources
		if json.Unmarshal(b, &r) != nil {
			return
		}
		out, err := json.Marshal(r)
		if err == nil {
			err = json.Unmarshal(out, &again)
		}
		if err != nil || !again.Equal(r) {
			t.Errorf("%q: %s, then %s, %v", b, r, again, err)
		}
	})
}
