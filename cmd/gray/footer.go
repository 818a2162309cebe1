package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// footer is the last lines of a terminal, drawn anew as they change, with text that
// scrolls by above them. What it writes to isn't written to by anybody else meanwhile.
type footer struct {
	w     io.Writer
	width func() int

	mu     sync.Mutex
	lines  []string // that are to stand there
	drawn  int      // how many stand there
	hidden bool
	within bool // the text above ends within a line: nothing is drawn below that
}

// newFooter makes a footer of the terminal w; nil if nothing can be drawn there.
func newFooter(w io.Writer) *footer {
	if !canDraw(w) {
		return nil
	}
	return &footer{w: w, width: func() int { return max(outputWidth(w), 20) }}
}

// show replaces the lines; none removes them.
func (s *footer) show(lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = lines
	s.redraw()
}

// hide takes the lines away, or brings them back.
func (s *footer) hide(hidden bool) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hidden = hidden
	s.redraw()
}

func (s *footer) redraw() { io.WriteString(s.w, s.erase()+s.draw()) }

// erase leaves the cursor where the first line began.
func (s *footer) erase() string {
	if s.drawn == 0 {
		return ""
	}
	n := s.drawn
	s.drawn = 0
	return fmt.Sprintf("\r\x1b[%dA\x1b[J", n)
}

func (s *footer) draw() string {
	if s.hidden || s.within || len(s.lines) == 0 {
		return ""
	}
	width := s.width() - 1 // the last column would wrap on some terminals
	var b strings.Builder
	for _, line := range s.lines {
		b.WriteString(cut(strings.Map(visible, line), width) + "\n")
	}
	s.drawn = len(s.lines)
	return b.String()
}

// above returns a writer to w, the same terminal, whose text appears above the lines.
func (s *footer) above(w io.Writer) io.Writer {
	if s == nil {
		return w
	}
	return &above{s, w}
}

type above struct {
	s *footer
	w io.Writer
}

func (a *above) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	s := a.s
	s.mu.Lock()
	defer s.mu.Unlock()
	io.WriteString(s.w, s.erase())
	n, err := a.w.Write(b)
	s.within = b[len(b)-1] != '\n'
	io.WriteString(s.w, s.draw())
	return n, err
}

const barWidth = 20

// bar is a part of a whole, drawn.
func bar(part, whole float64, width int) string {
	full := 0
	if whole > 0 {
		full = min(width, int(part/whole*float64(width)))
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]"
}
