package data

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/gray-runtime/gray/trainlib/model"
)

// CSV says how a file of comma-separated numbers is read: a sample a line, its target in one column, the others its features.
type CSV struct {
	Header bool  // the first line has the columns' names, and is skipped
	Comma  rune  // 0: ','
	Target int   // the target's column, from 0; negative: from the end, -1 is the last
	XShape []int // of one sample; nil: as many numbers as there are other columns
}

// ParseError says where a file isn't what it should be. Column counts from 1, in bytes; a binary file has Offset instead of Line and Column.
type ParseError struct {
	File         string
	Line, Column int
	Offset       int64
	Err          error
}

func (e *ParseError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d:%d: %v", e.File, e.Line, e.Column, e.Err)
	}
	return fmt.Sprintf("%s: at byte %d: %v", e.File, e.Offset, e.Err)
}

// Unwrap returns what is wrong there.
func (e *ParseError) Unwrap() error { return e.Err }

// LoadCSV reads a file; one that ends in .gz is decompressed.
func LoadCSV[T model.Float](path string, o CSV) (*Set[T], error) {
	return load(path, func(r io.Reader) (*Set[T], error) { return ReadCSV[T](r, path, o) })
}

// ReadCSV reads samples; name is the file's, for errors. Every field must be a finite number.
func ReadCSV[T model.Float](r io.Reader, name string, o CSV) (*Set[T], error) {
	c := csv.NewReader(bufio.NewReaderSize(r, 1<<16))
	c.ReuseRecord, c.TrimLeadingSpace = true, true
	if o.Comma != 0 {
		c.Comma = o.Comma
	}
	s := &Set[T]{XShape: o.XShape}
	at := func(field int, err error) error {
		line, column := c.FieldPos(field)
		return &ParseError{File: name, Line: line, Column: column, Err: err}
	}
	for first := true; ; first = false {
		record, err := c.Read()
		var bad *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return s, nil
		case errors.As(err, &bad):
			return nil, &ParseError{File: name, Line: bad.Line, Column: max(bad.Column, 1), Err: bad.Err}
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", name, err)
		case first && o.Header:
			continue
		}
		target := o.Target
		if target < 0 {
			target += len(record)
		}
		if target < 0 || target >= len(record) {
			return nil, at(0, fmt.Errorf("there is no column %d for the target: the line has %d", o.Target, len(record)))
		}
		if s.XShape == nil {
			s.XShape = []int{len(record) - 1}
		}
		if n := product(s.XShape); n != len(record)-1 || n < 1 {
			return nil, at(0, fmt.Errorf("the line has %d features, the shape %v takes %d", len(record)-1, s.XShape, n))
		}
		for i, field := range record {
			v, err := number[T](field)
			if err != nil {
				return nil, at(i, err)
			}
			if i == target {
				s.Y = append(s.Y, v)
			} else {
				s.X = append(s.X, v)
			}
		}
	}
}

func number[T model.Float](field string) (T, error) {
	bits := 64
	if _, ok := any(T(0)).(float32); ok {
		bits = 32
	}
	v, err := strconv.ParseFloat(field, bits)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%s is no number", quoted(field))
	}
	return T(v), nil
}

// quoted is what a file has there, short.
func quoted(s string) string {
	if len(s) > 40 {
		s = s[:40]
	}
	return strconv.Quote(s)
}
