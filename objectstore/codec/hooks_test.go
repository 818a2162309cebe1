package codec_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/objectstore/codec"
)

// ref marshals by value and collects itself, as a reference does.
type ref struct{ id string }

func (r ref) MarshalGray(e *codec.Encoder) error {
	if r.id == "" {
		return nil
	}
	if r.id == "bad" {
		return errBad
	}
	if found, ok := e.Context().(*[]string); ok && !e.Sizing() {
		*found = append(*found, r.id)
	}
	e.Ext(16, []byte(r.id))
	return nil
}

func (r *ref) UnmarshalGray(d *codec.Decoder) error {
	b, err := d.Ext(16)
	if err == nil && len(b) == 0 {
		return errBad // MarshalGray writes none without an id
	}
	r.id = string(b)
	return err
}

var errBad = errors.New("bad reference")

// twice breaks the rule of one extension.
type twice struct{}

func (*twice) MarshalGray(e *codec.Encoder) error { e.Ext(20, nil); e.Ext(20, nil); return nil }
func (*twice) UnmarshalGray(*codec.Decoder) error { return nil }

// reserved uses a kind of the codec's own.
type reserved struct{}

func (reserved) MarshalGray(e *codec.Encoder) error  { e.Ext(1, nil); return nil }
func (*reserved) UnmarshalGray(*codec.Decoder) error { return nil }

type half struct{ X int }

func (half) MarshalGray(*codec.Encoder) error { return nil }

func init() {
	codec.RegisterExt(16, func(d *codec.Decoder) (any, error) {
		var r ref
		err := r.UnmarshalGray(d)
		return r, err
	})
}

type holder struct {
	One  ref
	Ptr  *ref
	List []ref
	Map  map[string]ref
	Keys map[ref]int
	Any  any
	None *ref
}

func TestMarshalerIsFoundEverywhere(t *testing.T) {
	v := holder{ref{"a"}, &ref{"b"}, []ref{{"c"}, {}}, map[string]ref{"k": {"d"}}, map[ref]int{{"e"}: 1},
		map[string]any{"x": []any{ref{"f"}}}, nil}
	same(t, v)
	var found []string
	c := must[holder](t)
	n, err := c.Size(&v, &found)
	if err != nil || len(found) != 0 {
		t.Fatal(found, err)
	}
	if enc, err := c.Append(nil, &v, &found); err != nil || len(enc) > n {
		t.Fatal(err)
	}
	if got := strings.Join(found, ""); got != "abcdef" {
		t.Error(got)
	}
	if _, err := must[*ref](t).Append(nil, new(*ref), nil); err != nil {
		t.Error(err)
	}
}

func TestMarshalerErrors(t *testing.T) {
	v := holder{List: []ref{{"a"}, {"bad"}}}
	_, err := must[holder](t).Append(nil, &v, nil)
	var e *codec.EncodeError
	if !errors.Is(err, errBad) || !errors.As(err, &e) || e.Path != "holder.List[1]" {
		t.Error(err)
	}
	if _, err := must[twice](t).Append(nil, new(twice), nil); err == nil {
		t.Error("two extensions pass")
	}
	if _, err := must[reserved](t).Append(nil, new(reserved), nil); err == nil {
		t.Error("a reserved kind passes")
	}
	if err := must[twice](t).Decode([]byte{0xd4, 20, 0}, new(twice), nil); err == nil {
		t.Error("an unread extension passes")
	}
	var out ref
	if err := must[ref](t).Decode([]byte{0xd4, 17, 0}, &out, nil); !errors.Is(err, codec.ErrMismatch) {
		t.Error(err)
	}
	var a any
	if err := must[any](t).Decode([]byte{0xd4, 99, 0}, &a, nil); !errors.Is(err, codec.ErrMismatch) {
		t.Error(err)
	}
}

func TestTypeErrors(t *testing.T) {
	type Job struct {
		Tasks []struct{ Done chan int }
	}
	type Locked struct{ n int } //nolint:unused // it can't be seen
	type embeds struct {
		ref
		N int
	}
	for typ, want := range map[reflect.Type]string{
		reflect.TypeFor[Job]():               "Job.Tasks[].Done: chan int can't be encoded",
		reflect.TypeFor[chan int]():          "chan int can't be encoded",
		reflect.TypeFor[Locked]():            "Locked: codec_test.Locked has no exported fields",
		reflect.TypeFor[struct{ E error }](): "interface error can't be encoded",
		reflect.TypeFor[map[string]func()](): "func() can't be encoded",
		reflect.TypeFor[half]():              "only one of MarshalGray",
		reflect.TypeFor[embeds]():            "give that field a name",
	} {
		_, err := codec.Of(typ)
		var te *codec.TypeError
		if !errors.As(err, &te) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", typ, err)
		}
	}
	var v any = map[string]any{"x": []any{1, make(chan int)}}
	_, err := must[any](t).Append(nil, &v, nil)
	var ee *codec.EncodeError
	if !errors.As(err, &ee) || !strings.Contains(err.Error(), `["x"][1]: chan int can't be encoded`) {
		t.Error(err)
	}
	if _, err := codec.Of(nil); err == nil {
		t.Error("nil type passes")
	}
}

func TestTypeRefusesOtherValues(t *testing.T) {
	k, err := codec.Of(reflect.TypeFor[int]())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []reflect.Value{{}, reflect.ValueOf("x")} {
		if _, err := k.Append(nil, v, nil); err == nil {
			t.Error("wrong value passes")
		}
		if _, err := k.Size(v, nil); err == nil {
			t.Error("wrong value passes")
		}
	}
	if err := k.Decode([]byte{1}, reflect.ValueOf(1), nil); err == nil {
		t.Error("unsettable value passes")
	}
	enc, err := k.Append(nil, reflect.ValueOf(300), nil)
	x := 0
	if err != nil || k.View(enc, reflect.ValueOf(&x).Elem(), nil) != nil || x != 300 {
		t.Error(x, err)
	}
}

// window keeps its payload in place when that's allowed.
type window struct {
	Data []byte
	User any
}

func (w *window) MarshalGray(e *codec.Encoder) error { e.Ext(40, w.Data); return nil }

func (w *window) UnmarshalGray(d *codec.Decoder) (err error) {
	w.Data, err = d.Ext(40)
	if !d.Viewing() {
		w.Data = append([]byte(nil), w.Data...)
	}
	w.User = d.Context()
	return err
}

func TestUnmarshalerKnowsContextAndView(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 4, 8, 16, 17, 255, 256, 65535, 65536} {
		c, in := must[window](t), window{Data: make([]byte, n)}
		size, _ := c.Size(&in, nil)
		enc, err := c.Append(make([]byte, 0, size), &in, nil)
		if err != nil || len(enc) > size {
			t.Fatal(len(enc), size, err)
		}
		var copied, viewed window
		if err := errors.Join(c.Decode(enc, &copied, "user"), c.View(enc, &viewed, "user")); err != nil {
			t.Fatal(err)
		}
		if copied.User != "user" || len(copied.Data) != n || len(viewed.Data) != n {
			t.Fatal(n, copied.User, len(copied.Data), len(viewed.Data))
		}
		if n > 0 {
			enc[len(enc)-1] = 1
			if copied.Data[n-1] != 0 || viewed.Data[n-1] != 1 {
				t.Error("a copy is a view, or the other way round")
			}
		}
	}
}

func TestBytesReadNumericArrays(t *testing.T) {
	src := []byte{0xc7, 5, 1, 5, 0, 7, 8, 9}
	for _, read := range []func([]byte, *[]byte, any) error{must[[]byte](t).Decode, must[[]byte](t).View} {
		var out []byte
		if err := read(src, &out, nil); err != nil || string(out) != "\x07\x08\x09" {
			t.Error(out, err)
		}
	}
	var a any
	if err := must[any](t).Decode(src, &a, nil); err != nil || !reflect.DeepEqual(a, []byte{7, 8, 9}) {
		t.Error(a, err)
	}
}
