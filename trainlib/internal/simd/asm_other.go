//go:build !amd64

package simd

import "unsafe"

// vectors says that there is assembly.
var vectors bool

const missing = "there is no assembly for this CPU"

func add32(_, _ unsafe.Pointer, _ int)                 { panic(missing) }
func add64(_, _ unsafe.Pointer, _ int)                 { panic(missing) }
func addTo32(_, _, _ unsafe.Pointer, _ int)            { panic(missing) }
func addTo64(_, _, _ unsafe.Pointer, _ int)            { panic(missing) }
func mul32(_, _ unsafe.Pointer, _ int)                 { panic(missing) }
func mul64(_, _ unsafe.Pointer, _ int)                 { panic(missing) }
func min32(_, _ unsafe.Pointer, _ int)                 { panic(missing) }
func min64(_, _ unsafe.Pointer, _ int)                 { panic(missing) }
func max32(_, _ unsafe.Pointer, _ int)                 { panic(missing) }
func max64(_, _ unsafe.Pointer, _ int)                 { panic(missing) }
func axpy32(_, _, _ unsafe.Pointer, _ int)             { panic(missing) }
func axpy64(_, _, _ unsafe.Pointer, _ int)             { panic(missing) }
func blend32(_, _, _ unsafe.Pointer, _ int)            { panic(missing) }
func blend64(_, _, _ unsafe.Pointer, _ int)            { panic(missing) }
func scale32(_, _ unsafe.Pointer, _ int)               { panic(missing) }
func scale64(_, _ unsafe.Pointer, _ int)               { panic(missing) }
func dot32(_, _, _ unsafe.Pointer, _ int)              { panic(missing) }
func dot64(_, _, _ unsafe.Pointer, _ int)              { panic(missing) }
func sum32(_, _ unsafe.Pointer, _ int)                 { panic(missing) }
func sum64(_, _ unsafe.Pointer, _ int)                 { panic(missing) }
func sumAbs32(_, _ unsafe.Pointer, _ int)              { panic(missing) }
func sumAbs64(_, _ unsafe.Pointer, _ int)              { panic(missing) }
func maxAbs32(_, _ unsafe.Pointer, _ int)              { panic(missing) }
func maxAbs64(_, _ unsafe.Pointer, _ int)              { panic(missing) }
func relu32(_, _ unsafe.Pointer, _ int)                { panic(missing) }
func relu64(_, _ unsafe.Pointer, _ int)                { panic(missing) }
func reluGrad32(_, _ unsafe.Pointer, _ int)            { panic(missing) }
func reluGrad64(_, _ unsafe.Pointer, _ int)            { panic(missing) }
func sigmoidGrad32(_, _ unsafe.Pointer, _ int)         { panic(missing) }
func sigmoidGrad64(_, _ unsafe.Pointer, _ int)         { panic(missing) }
func tanhGrad32(_, _ unsafe.Pointer, _ int)            { panic(missing) }
func tanhGrad64(_, _ unsafe.Pointer, _ int)            { panic(missing) }
func exp32(_, _, _ unsafe.Pointer, _ int)              { panic(missing) }
func exp64(_, _, _ unsafe.Pointer, _ int)              { panic(missing) }
func sigmoid32(_, _ unsafe.Pointer, _ int)             { panic(missing) }
func sigmoid64(_, _ unsafe.Pointer, _ int)             { panic(missing) }
func tanh32(_, _ unsafe.Pointer, _ int)                { panic(missing) }
func tanh64(_, _ unsafe.Pointer, _ int)                { panic(missing) }
func adam32(_, _, _, _, _ unsafe.Pointer, _ int)       { panic(missing) }
func adam64(_, _, _, _, _ unsafe.Pointer, _ int)       { panic(missing) }
func amsgrad32(_, _, _, _, _, _ unsafe.Pointer, _ int) { panic(missing) }
func amsgrad64(_, _, _, _, _, _ unsafe.Pointer, _ int) { panic(missing) }
func momentum32(_, _, _, _ unsafe.Pointer, _ int)      { panic(missing) }
func momentum64(_, _, _, _ unsafe.Pointer, _ int)      { panic(missing) }
func rmsprop32(_, _, _, _ unsafe.Pointer, _ int)       { panic(missing) }
func rmsprop64(_, _, _, _ unsafe.Pointer, _ int)       { panic(missing) }
func squares32(_, _ unsafe.Pointer, _ int)             { panic(missing) }
