// Package datasets has two small data sets in the binary, for examples and tests. Both are from the UCI Machine Learning
// Repository, under CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/):
//
//   - W. Wolberg, O. Mangasarian, N. Street, W. Street: Breast Cancer Wisconsin (Diagnostic), 1993, https://doi.org/10.24432/C5DW2B.
//     Changed: features are standardised to mean 0 and population standard deviation 1; the label is 1 for benign.
//   - E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, 1998, https://doi.org/10.24432/C50P49.
//     Changed: the test part alone; pixels are divided by 16 when read.
//
// It owns their files, and never keeps what it has read.
package datasets
