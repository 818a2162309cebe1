package nn

import "github.com/gray-runtime/gray/trainlib/internal/simd"

// look sets seen to what the windows of an image see: a row for each number of the kernel, a column for each window.
// What a window sees beyond the image is 0 from the start, and nothing else is written there.
func (l *convWork[T]) look(x []T) {
	l.eachRow(func(ch, i, j int, row []T) {
		image := x[ch*l.rows*l.columns : (ch+1)*l.rows*l.columns]
		if l.level() {
			l.shift(row, image, i, j)
		} else {
			l.gather(row, image, i, j)
		}
	}, l.seen)
}

// unlook adds dseen to where it was seen. It changes dseen.
func (l *convWork[T]) unlook(dx []T) {
	l.eachRow(func(ch, i, j int, row []T) {
		image := dx[ch*l.rows*l.columns : (ch+1)*l.rows*l.columns]
		if l.level() {
			l.unshift(image, row, i, j)
		} else {
			l.scatter(image, row, i, j)
		}
	}, l.dseen)
}

// eachRow calls do for each number of the kernel, which is at (i, j) of channel ch, and its row.
func (l *convWork[T]) eachRow(do func(ch, i, j int, row []T), rows []T) {
	n := l.outRows * l.outColumns
	for ch := range l.channels {
		for i := range l.kernel {
			for j := range l.kernel {
				do(ch, i, j, rows[:n])
				rows = rows[n:]
			}
		}
	}
}

// level says that windows lie as numbers of the image do, so that what number (i, j) of the kernel sees is the image, shifted.
func (l *convWork[T]) level() bool {
	return l.stride == 1 && l.outColumns == l.columns && l.outRows == l.rows
}

// shifted is the part of a row that number (i, j) of the kernel sees in the image, from where there. Columns
// beyond the image's edge have what's on its other side.
func (l *convWork[T]) shifted(i, j int) (from, to, where int) {
	down, right := i-l.padding, j-l.padding
	shift := down*l.columns + right
	from, to = max(0, -down)*l.columns, (l.rows-max(0, down))*l.columns
	from, to = max(from, -shift), min(to, l.rows*l.columns-shift)
	if from >= to {
		return 0, 0, 0
	}
	return from, to, from + shift
}

// edge clears what number j of the kernel's row sees beyond the edge.
func (l *convWork[T]) edge(row []T, j int) {
	right := j - l.padding
	from, to := 0, min(-right, l.columns)
	if right > 0 {
		from, to = max(l.columns-right, 0), l.columns
	}
	if from >= to {
		return
	}
	for ; len(row) > 0; row = row[l.columns:] {
		for k := from; k < to; k++ {
			row[k] = 0
		}
	}
}

func (l *convWork[T]) shift(row, image []T, i, j int) {
	from, to, where := l.shifted(i, j)
	copy(row[from:to], image[where:])
	l.edge(row, j)
}

func (l *convWork[T]) unshift(image, row []T, i, j int) {
	from, to, where := l.shifted(i, j)
	l.edge(row, j)
	simd.Add(image[where:where+to-from], row[from:to])
}

// gather is shift where windows lie otherwise.
func (l *convWork[T]) gather(row, image []T, i, j int) {
	from, to := l.inside(j)
	for r := range l.outRows {
		y := r*l.stride + i - l.padding
		seen := row[r*l.outColumns : (r+1)*l.outColumns]
		if y < 0 || y >= l.rows || from == to {
			continue
		}
		line := image[y*l.columns : (y+1)*l.columns]
		at := from*l.stride + j - l.padding
		if l.stride == 1 {
			copy(seen[from:to], line[at:])
			continue
		}
		for c := from; c < to; c++ {
			seen[c] = line[at]
			at += l.stride
		}
	}
}

// scatter is unshift where windows lie otherwise.
func (l *convWork[T]) scatter(image, row []T, i, j int) {
	from, to := l.inside(j)
	for r := range l.outRows {
		y := r*l.stride + i - l.padding
		if y < 0 || y >= l.rows || from == to {
			continue
		}
		line := image[y*l.columns : (y+1)*l.columns]
		at := from*l.stride + j - l.padding
		for _, d := range row[r*l.outColumns+from : r*l.outColumns+to] {
			line[at] += d
			at += l.stride
		}
	}
}

// inside is the range of windows in a row whose column j of the kernel is in the image.
func (l *convWork[T]) inside(j int) (from, to int) {
	first := j - l.padding // of window 0
	if first < 0 {
		from = (-first + l.stride - 1) / l.stride
	}
	if last := l.columns - 1 - first; last >= 0 {
		to = min(last/l.stride+1, l.outColumns)
	}
	return min(from, to), to
}
