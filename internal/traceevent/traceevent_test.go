package traceevent

import (
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	const thread = `{"name":"thread_name","ph":"M","pid":1,"tid":1,"args":{"name":"n1.p1"}},`
	slice := func(ts, dur string) string {
		return `{"name":"f","cat":"run","ph":"X","pid":1,"tid":1,"ts":` + ts + `,"dur":` + dur + `}`
	}
	point := func(phase, ts string) string {
		return `{"name":"c","cat":"call","ph":"` + phase + `","id":"7","bp":"e","pid":1,"tid":1,"ts":` + ts + `}`
	}
	for name, c := range map[string]struct {
		events string
		wrong  string // what the error says; empty: none
	}{
		"nothing":          {"", ""},
		"nested and apart": {thread + slice("0", "5") + "," + slice("1", "4") + "," + slice("5", "1"), ""},
		"overlap":          {thread + slice("0", "5") + "," + slice("1", "5"), "overlaps"},
		"negative":         {thread + slice("0", "-5"), "takes -5"},
		"before 0":         {thread + slice("-1", "5"), "time from 0"},
		"no name":          {slice("0", "5"), "has no name"},
		"flow":             {thread + slice("0", "5") + "," + point("s", "0") + "," + point("f", "5"), ""},
		"flow into space":  {thread + slice("0", "5") + "," + point("s", "0") + "," + point("f", "6"), "in no slice"},
		"flow with an end": {thread + slice("0", "5") + "," + point("f", "1"), "one end"},
		"async":            {point("b", "0") + "," + point("e", "1"), ""},
		"async open":       {point("b", "0"), "never ends"},
		"async unopened":   {point("e", "0"), "isn't open"},
		"unknown":          {`{"name":"f","cat":"run","ph":"Q","pid":1,"tid":1,"ts":1}`, "unknown phase"},
		"no pid":           {`{"name":"f","cat":"run","ph":"i","s":"t","tid":1,"ts":1}`, "no pid"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(strings.NewReader(`{"traceEvents":[` + c.events + `]}`))
			if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%v, want %q", err, c.wrong)
			}
		})
	}
	if _, err := Read(strings.NewReader(`{"traceEvents":[]}{}`)); err == nil {
		t.Error("two traces are none")
	}
}
