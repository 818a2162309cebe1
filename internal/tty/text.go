package tty

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// maxSGR is how long a colour sequence can be, in bytes.
const maxSGR = 64

const reset = "\x1b[0m"

// Color reports whether colours are wanted: NO_COLOR isn't set, and the terminal isn't dumb.
func Color() bool { return os.Getenv("NO_COLOR") == "" && !Dumb() }

// Dumb reports whether the terminal can't move its cursor.
func Dumb() bool { return os.Getenv("TERM") == "dumb" }

// Line is a line as it can be shown: what isn't text is written out, as \x1b. Colours
// are kept, if they're wanted, and end with the line.
func Line(line string) string {
	if plain(line) {
		return line
	}
	var e escaper
	e.keep = Color()
	out := e.text(line)
	if e.colored {
		out += reset
	}
	return out
}

// plain reports whether there is nothing to do, as for nearly all lines.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}

// Writer passes on what is written to it, in any parts, as it can be shown. A carriage
// return alone begins a new line. It may be used by several goroutines.
type Writer struct {
	w io.Writer

	mu   sync.Mutex
	e    escaper
	rest []byte // the beginning of a character or sequence whose end hasn't come
}

// NewWriter makes a Writer.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w, e: escaper{keep: Color(), lines: true}} }

func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.rest) == 0 && !w.e.colored && textOnly(p) {
		return w.w.Write(p)
	}
	all := string(append(w.rest, p...))
	whole := wholePart(all)
	w.rest = append(w.rest[:0], all[whole:]...)
	if _, err := io.WriteString(w.w, w.e.text(all[:whole])); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close writes what was held back, and ends colours. It doesn't close what is beneath.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.e.text(string(w.rest))
	if w.rest = nil; w.e.colored {
		out += reset
	}
	if out == "" {
		return nil
	}
	_, err := io.WriteString(w.w, out)
	return err
}

func textOnly(p []byte) bool {
	for _, c := range p {
		if c < ' ' && c != '\t' && c != '\n' || c >= 0x7f {
			return false
		}
	}
	return true
}

// wholePart is how much of s can be judged without what follows.
func wholePart(s string) int {
	if i := strings.LastIndexByte(s, 0x1b); i >= 0 && len(s)-i < maxSGR {
		if _, ok, open := sgr(s[i:]); !ok && open {
			return i
		}
	}
	if strings.HasSuffix(s, "\r") {
		return len(s) - 1
	}
	for i := len(s) - 1; i >= 0 && i >= len(s)-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			if !utf8.FullRuneInString(s[i:]) {
				return i
			}
			break
		}
	}
	return len(s)
}

// sgr reads a colour sequence at the beginning of s. open: it may become one.
func sgr(s string) (n int, ok, open bool) {
	if s == "\x1b" {
		return 0, false, true
	}
	if !strings.HasPrefix(s, "\x1b[") {
		return 0, false, false
	}
	for i := 2; i < min(len(s), maxSGR); i++ {
		switch c := s[i]; {
		case c == 'm':
			return i + 1, true, false
		case (c < '0' || c > '9') && c != ';' && c != ':':
			return 0, false, false
		}
	}
	return 0, false, len(s) < maxSGR
}

// escaper turns text into what can be shown.
type escaper struct {
	keep    bool // colours
	lines   bool // a carriage return begins a line
	colored bool // a colour is on
}

func (e *escaper) text(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for len(s) > 0 {
		if n, ok, _ := sgr(s); ok {
			if e.keep {
				b.WriteString(s[:n])
				e.colored = s[:n] != reset && s[:n] != "\x1b[m"
			}
			s = s[n:]
			continue
		}
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case e.lines && r == '\r':
			if !strings.HasPrefix(s[n:], "\n") {
				b.WriteByte('\n')
			}
		case r == utf8.RuneError && n <= 1:
			b.WriteRune(utf8.RuneError)
		case r == '\t' || e.lines && r == '\n':
			b.WriteRune(r)
		case Hidden(r):
			b.WriteString(escape(r))
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// Hidden reports whether a character does something instead of being seen.
func Hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

func escape(r rune) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r < 0x100:
		return fmt.Sprintf(`\x%02x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// JSON is a JSON text with what isn't seen in its strings written as escapes, which
// encoding/json does for some of it only.
func JSON(text string) string {
	if !strings.ContainsFunc(text, hiddenInJSON) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if hiddenInJSON(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hiddenInJSON(r rune) bool { return r != '\n' && Hidden(r) }
