package datasets

import (
	"bytes"
	"compress/gzip"
	_ "embed" // the files
	"fmt"

	"github.com/gray-runtime/gray/trainlib/data"
	"github.com/gray-runtime/gray/trainlib/model"
)

//go:embed breast_cancer.csv.gz
var breastCancer []byte

//go:embed digits.csv.gz
var digits []byte

// BreastCancer is 569 samples of 30 standardised features; the target is 1 if the tumour is benign, else 0.
func BreastCancer[T model.Float]() (*data.Set[T], error) {
	return read[T]("breast_cancer.csv.gz", breastCancer, []int{30})
}

// Digits is 1,797 images of 8 × 8 pixels from 0 to 1; the target is the digit.
func Digits[T model.Float]() (*data.Set[T], error) {
	s, err := read[T]("digits.csv.gz", digits, []int{8, 8})
	if err != nil {
		return nil, err
	}
	for i := range s.X {
		s.X[i] /= 16
	}
	return s, nil
}

func read[T model.Float](name string, file []byte, shape []int) (*data.Set[T], error) {
	z, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("read data set %s: %w", name, err)
	}
	return data.ReadCSV[T](z, name, data.CSV{Target: 0, XShape: shape})
}
