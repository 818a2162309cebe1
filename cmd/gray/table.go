package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/gray-runtime/gray/internal/tty"
)

// narrowest is what a column that gives way keeps at first, and if that isn't enough.
var narrowest = [...]int{10, 6}

// longestCell is how much of a cell is shown at most, in characters: whatever a job put into an
// error, other rows aren't padded to it.
const longestCell = 500

// table is text in columns.
type table struct {
	header []string
	loose  []bool // columns that give way before the others do
	rows   [][]string
}

// newTable makes a table; a name that begins with ~ is that of a column that
// may be cut.
func newTable(header ...string) *table {
	t := &table{}
	for _, h := range header {
		name, loose := strings.CutPrefix(h, "~")
		t.header, t.loose = append(t.header, name), append(t.loose, loose)
	}
	return t
}

func (t *table) row(cells ...any) {
	row := make([]string, len(t.header))
	for i, c := range cells {
		row[i] = shortened(fmt.Sprint(c), longestCell)
		if row[i] == "" {
			row[i] = "-"
		}
	}
	t.rows = append(t.rows, row)
}

// print writes the table. On a terminal, columns are cut until it
// fits; elsewhere everything is written in full.
func (t *table) print(w io.Writer) {
	for _, line := range t.lines(outputWidth(w)) {
		fmt.Fprintln(w, line)
	}
}

// lines are the header and the rows; 0 is a width that everything fits into.
func (t *table) lines(width int) []string {
	widths := make([]int, len(t.header))
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	if width > 0 {
		fit(widths, t.loose, width)
	}
	lines := make([]string, 0, 1+len(t.rows))
	for _, row := range append([][]string{t.header}, t.rows...) {
		var b strings.Builder
		for i, cell := range row {
			cell = cut(strings.Map(visible, cell), widths[i])
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return lines
}

// visible keeps a cell on its line, whatever a job put into a name.
func visible(r rune) rune {
	if tty.Hidden(r) {
		return ' '
	}
	return r
}

// fit narrows columns, the widest first, until all fit into width.
func fit(widths []int, loose []bool, width int) {
	excess := 2*(len(widths)-1) - width
	for _, w := range widths {
		excess += w
	}
	for _, least := range narrowest {
		for _, onlyLoose := range []bool{true, false} {
			for excess > 0 {
				widest := -1
				for i, w := range widths {
					if w > least && (loose[i] || !onlyLoose) && (widest < 0 || w > widths[widest]) {
						widest = i
					}
				}
				if widest < 0 {
					break
				}
				widths[widest]--
				excess--
			}
		}
	}
}

// shortened is the beginning of a long text, and how much more there is.
func shortened(s string, most int) string {
	if len(s) <= most {
		return s
	}
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return fmt.Sprintf("%s… (%d more)", string(r[:most]), len(r)-most)
}

func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}

// outputWidth is that of the terminal that w is, or what COLUMNS says; 0 if w is none.
func outputWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, ok := terminalWidth(f)
	if !ok {
		return 0
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	return width
}

func terminalWidth(f *os.File) (int, bool) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, false
	}
	if size.Col == 0 {
		return 80, true
	}
	return int(size.Col), true
}
