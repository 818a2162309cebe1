package simd

import "unsafe"

// What these compute is said at the functions that call them; by are factors, sum and most results.

//go:noescape
func add32(dst, x unsafe.Pointer, n int)

//go:noescape
func add64(dst, x unsafe.Pointer, n int)

//go:noescape
func addTo32(dst, x, by unsafe.Pointer, n int)

//go:noescape
func addTo64(dst, x, by unsafe.Pointer, n int)

//go:noescape
func mul32(dst, x unsafe.Pointer, n int)

//go:noescape
func mul64(dst, x unsafe.Pointer, n int)

//go:noescape
func min32(dst, x unsafe.Pointer, n int)

//go:noescape
func min64(dst, x unsafe.Pointer, n int)

//go:noescape
func max32(dst, x unsafe.Pointer, n int)

//go:noescape
func max64(dst, x unsafe.Pointer, n int)

//go:noescape
func axpy32(dst, x, by unsafe.Pointer, n int)

//go:noescape
func axpy64(dst, x, by unsafe.Pointer, n int)

//go:noescape
func blend32(dst, x, by unsafe.Pointer, n int)

//go:noescape
func blend64(dst, x, by unsafe.Pointer, n int)

//go:noescape
func scale32(dst, x unsafe.Pointer, n int)

//go:noescape
func scale64(dst, x unsafe.Pointer, n int)

//go:noescape
func dot32(x, y, sum unsafe.Pointer, n int)

//go:noescape
func dot64(x, y, sum unsafe.Pointer, n int)

//go:noescape
func sum32(x, sum unsafe.Pointer, n int)

//go:noescape
func sum64(x, sum unsafe.Pointer, n int)

//go:noescape
func sumAbs32(x, sum unsafe.Pointer, n int)

//go:noescape
func sumAbs64(x, sum unsafe.Pointer, n int)

//go:noescape
func maxAbs32(x, most unsafe.Pointer, n int)

//go:noescape
func maxAbs64(x, most unsafe.Pointer, n int)

//go:noescape
func relu32(dst, x unsafe.Pointer, n int)

//go:noescape
func relu64(dst, x unsafe.Pointer, n int)

//go:noescape
func reluGrad32(dst, x unsafe.Pointer, n int)

//go:noescape
func reluGrad64(dst, x unsafe.Pointer, n int)

//go:noescape
func sigmoidGrad32(dst, x unsafe.Pointer, n int)

//go:noescape
func sigmoidGrad64(dst, x unsafe.Pointer, n int)

//go:noescape
func tanhGrad32(dst, x unsafe.Pointer, n int)

//go:noescape
func tanhGrad64(dst, x unsafe.Pointer, n int)

//go:noescape
func exp32(dst, x, by unsafe.Pointer, n int)

//go:noescape
func exp64(dst, x, by unsafe.Pointer, n int)

//go:noescape
func sigmoid32(dst, x unsafe.Pointer, n int)

//go:noescape
func sigmoid64(dst, x unsafe.Pointer, n int)

//go:noescape
func tanh32(dst, x unsafe.Pointer, n int)

//go:noescape
func tanh64(dst, x unsafe.Pointer, n int)

//go:noescape
func adam32(w, m, v, grad, by unsafe.Pointer, n int)

//go:noescape
func adam64(w, m, v, grad, by unsafe.Pointer, n int)

//go:noescape
func amsgrad32(w, m, v, most, grad, by unsafe.Pointer, n int)

//go:noescape
func amsgrad64(w, m, v, most, grad, by unsafe.Pointer, n int)

//go:noescape
func momentum32(w, m, grad, by unsafe.Pointer, n int)

//go:noescape
func momentum64(w, m, grad, by unsafe.Pointer, n int)

//go:noescape
func rmsprop32(w, v, grad, by unsafe.Pointer, n int)

//go:noescape
func rmsprop64(w, v, grad, by unsafe.Pointer, n int)

//go:noescape
func squares32(x, sum unsafe.Pointer, n int)
