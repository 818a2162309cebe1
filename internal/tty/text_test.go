package tty

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	for in, want := range map[string]string{
		"plain\ttext":               "plain\ttext",
		"ünïcode ☃":                 "ünïcode ☃",
		"\x1b[31mred":               "\x1b[31mred\x1b[0m",
		"\x1b[1;31mred\x1b[0m.":     "\x1b[1;31mred\x1b[0m.",
		"\x1b[2J\x1b]0;title\x07":   `\x1b[2J\x1b]0;title\x07`,
		"over\rwritten\b":           `over\rwritten\x08`,
		"a\nb":                      `a\nb`,
		"\u202ereversed\u009b31m":   `\u202ereversed\x9b31m`,
		"bad \xff\xfe utf8":         "bad \uFFFD\uFFFD utf8",
		"<script>alert(1)</script>": "<script>alert(1)</script>",
	} {
		if got := Line(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	t.Setenv("NO_COLOR", "1")
	if got := Line("\x1b[31mred"); got != "red" {
		t.Errorf("without colours: %q", got)
	}
}

func TestWriter(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	in := "one\r\ntwo\rthree \x1b[32mgreen\x1b[0m \x1b[H☃\xff\x1b[3"
	want := "one\ntwo\nthree \x1b[32mgreen\x1b[0m \\x1b[H☃\uFFFD\\x1b[3"
	for size := 1; size <= len(in); size++ {
		if got := written(in, size); got != want {
			t.Fatalf("parts of %d: %q, want %q", size, got, want)
		}
	}
}

func written(in string, size int) string {
	var b strings.Builder
	w := NewWriter(&b)
	for len(in) > 0 {
		k := min(size, len(in))
		w.Write([]byte(in[:k]))
		in = in[k:]
	}
	w.Close()
	return b.String()
}

// FuzzWriter: any text in any parts gives the same, and nothing that does something.
func FuzzWriter(f *testing.F) {
	f.Add("a\x1b[31mb\x1b[Kc\r\n\x9b\u202e", 1)
	f.Fuzz(func(t *testing.T, in string, size int) {
		size = 1 + max(size, -size)%16
		if size <= 0 {
			size = 1
		}
		got := written(in, size)
		if all := written(in, max(1, len(in))); got != all {
			t.Fatalf("%q in parts of %d: %q, whole: %q", in, size, got, all)
		}
		if !utf8.ValidString(got) {
			t.Fatalf("%q: %q", in, got)
		}
		for rest := got; rest != ""; {
			if n, ok, _ := sgr(rest); ok {
				rest = rest[n:]
				continue
			}
			r, n := utf8.DecodeRuneInString(rest)
			if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
				t.Fatalf("%q: %q has %q", in, got, r)
			}
			rest = rest[n:]
		}
	})
}

// TestJSON: it says the same, and nothing in it does something.
func TestJSON(t *testing.T) {
	for _, text := range []string{"plain", "a\u009b2J\x7f\u202eb\n\t\x1b", "grüße \u2067"} {
		b, err := json.MarshalIndent(map[string]string{"text": text}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		got := JSON(string(b))
		var back map[string]string
		if err := json.Unmarshal([]byte(got), &back); err != nil || back["text"] != text {
			t.Errorf("%q became %q, %v", text, back, err)
		}
		if at := strings.IndexFunc(got, func(r rune) bool { return r != '\n' && Hidden(r) }); at >= 0 {
			t.Errorf("%q: %q is still there", text, got[at:])
		}
	}
}
