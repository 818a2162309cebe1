// Optimisers' steps, for float32 and float64. Registers: w DI, gradients BX, what is kept of them SI, DX, R10; factors R8.

#define ADAMFACTORS \
	BROADCAST (0*SIZE)(R8), Y6 \
	BROADCAST (1*SIZE)(R8), Y7 \
	BROADCAST (2*SIZE)(R8), Y8 \
	BROADCAST (3*SIZE)(R8), Y9 \
	BROADCAST (4*SIZE)(R8), Y10 \
	BROADCAST (5*SIZE)(R8), Y11 \
	BROADCAST (6*SIZE)(R8), Y12 \
	BROADCAST (7*SIZE)(R8), Y13 \
	BROADCAST (8*SIZE)(R8), Y14

// MOMENTS updates both means: Y1 is w, Y2 the first, Y3 the second.
#define MOMENTS(G, P) \
	G(BX, Y0) \
	G(DI, Y1) \
	FMA Y1, Y13, Y0 \
	G(SI, Y2) \
	VMUL Y6, Y2, Y2 \
	FMA Y0, Y7, Y2 \
	P(Y2, SI) \
	G(DX, Y3) \
	VMUL Y8, Y3, Y3 \
	VMUL Y0, Y9, Y4 \
	FMA Y0, Y4, Y3 \
	P(Y3, DX)

// STEPBY moves w against Y2, scaled by the root of Y3.
#define STEPBY(P) \
	VSQRT Y3, Y4 \
	FMA213 Y12, Y11, Y4 \
	VMUL Y10, Y2, Y2 \
	VDIV Y4, Y2, Y2 \
	VMUL Y14, Y1, Y1 \
	VSUB Y2, Y1, Y1 \
	P(Y1, DI)

#define ADAMSTEP(G, P) \
	MOMENTS(G, P) \
	STEPBY(P)
// func(w, m, v, grad, by unsafe.Pointer, n int)
TEXT ADAM, NOSPLIT, $0-48
	MOVQ w+0(FP), DI
	MOVQ m+8(FP), SI
	MOVQ v+16(FP), DX
	MOVQ grad+24(FP), BX
	MOVQ by+32(FP), R8
	MOVQ n+40(FP), CX
	ADAMFACTORS
	EACH(ADAMSTEP, loop, last, done)

#define AMSGRADSTEP(G, P) \
	MOMENTS(G, P) \
	G(R10, Y4) \
	VMAX Y4, Y3, Y3 \
	P(Y3, R10) \
	STEPBY(P)
// func(w, m, v, most, grad, by unsafe.Pointer, n int)
TEXT AMSGRAD, NOSPLIT, $0-56
	MOVQ w+0(FP), DI
	MOVQ m+8(FP), SI
	MOVQ v+16(FP), DX
	MOVQ most+24(FP), R10
	MOVQ grad+32(FP), BX
	MOVQ by+40(FP), R8
	MOVQ n+48(FP), CX
	ADAMFACTORS
	EACH(AMSGRADSTEP, loop, last, done)

#define MOMENTUMSTEP(G, P) \
	G(BX, Y0) \
	G(DI, Y1) \
	FMA Y1, Y9, Y0 \
	G(SI, Y2) \
	VMUL Y6, Y2, Y2 \
	FMA Y0, Y7, Y2 \
	P(Y2, SI) \
	VMUL Y10, Y0, Y0 \
	FMA Y2, Y11, Y0 \
	FNMA Y0, Y8, Y1 \
	P(Y1, DI)
// func(w, m, grad, by unsafe.Pointer, n int)
TEXT MOMENTUM, NOSPLIT, $0-40
	MOVQ w+0(FP), DI
	MOVQ m+8(FP), SI
	MOVQ grad+16(FP), BX
	MOVQ by+24(FP), R8
	MOVQ n+32(FP), CX
	BROADCAST (0*SIZE)(R8), Y6
	BROADCAST (1*SIZE)(R8), Y7
	BROADCAST (2*SIZE)(R8), Y8
	BROADCAST (3*SIZE)(R8), Y9
	BROADCAST (4*SIZE)(R8), Y10
	BROADCAST (5*SIZE)(R8), Y11
	EACH(MOMENTUMSTEP, loop, last, done)

#define RMSPROPSTEP(G, P) \
	G(BX, Y0) \
	G(DI, Y1) \
	FMA Y1, Y10, Y0 \
	G(SI, Y3) \
	VMUL Y6, Y3, Y3 \
	VMUL Y0, Y7, Y4 \
	FMA Y0, Y4, Y3 \
	P(Y3, SI) \
	VSQRT Y3, Y4 \
	VADD Y9, Y4, Y4 \
	VMUL Y8, Y0, Y0 \
	VDIV Y4, Y0, Y0 \
	VSUB Y0, Y1, Y1 \
	P(Y1, DI)
// func(w, v, grad, by unsafe.Pointer, n int)
TEXT RMSPROP, NOSPLIT, $0-40
	MOVQ w+0(FP), DI
	MOVQ v+8(FP), SI
	MOVQ grad+16(FP), BX
	MOVQ by+24(FP), R8
	MOVQ n+32(FP), CX
	BROADCAST (0*SIZE)(R8), Y6
	BROADCAST (1*SIZE)(R8), Y7
	BROADCAST (2*SIZE)(R8), Y8
	BROADCAST (3*SIZE)(R8), Y9
	BROADCAST (4*SIZE)(R8), Y10
	EACH(RMSPROPSTEP, loop, last, done)
