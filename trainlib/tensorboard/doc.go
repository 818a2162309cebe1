// Package tensorboard writes event files, which TensorBoard draws: scalars over steps.
//
// It owns the format: records with masked CRC-32C sums, each a protocol buffer written by hand. It never reads but to check what it wrote.
package tensorboard
