// Kernels of float32 and float64: the including file says which by what it defines.

#include "each_avx2_amd64.h"

// TWO loads the arguments of func(dst, x unsafe.Pointer, n int); what the others load stands at their use.
#define TWO \
	MOVQ dst+0(FP), DI \
	MOVQ x+8(FP), SI \
	MOVQ n+16(FP), CX

// TWOBY is of func(dst, x, by unsafe.Pointer, n int).
#define TWOBY \
	MOVQ dst+0(FP), DI \
	MOVQ x+8(FP), SI \
	MOVQ by+16(FP), DX \
	MOVQ n+24(FP), CX

#define ADDSTEP(G, P) \
	G(DI, Y0) \
	G(SI, Y1) \
	VADD Y1, Y0, Y0 \
	P(Y0, DI)
TEXT ADD, NOSPLIT, $0-24
	TWO
	EACH(ADDSTEP, loop, last, done)

#define ADDTOSTEP(G, P) \
	G(SI, Y0) \
	G(DX, Y1) \
	VADD Y1, Y0, Y0 \
	P(Y0, DI)
TEXT ADDTO, NOSPLIT, $0-32
	TWOBY
	EACH(ADDTOSTEP, loop, last, done)

#define MULSTEP(G, P) \
	G(DI, Y0) \
	G(SI, Y1) \
	VMUL Y1, Y0, Y0 \
	P(Y0, DI)
TEXT MUL, NOSPLIT, $0-24
	TWO
	EACH(MULSTEP, loop, last, done)

// The CPU's min and max give the second of two if either isn't a number.
#define MINSTEP(G, P) \
	G(DI, Y0) \
	G(SI, Y1) \
	VMIN Y1, Y0, Y2 \
	VCMP $3, Y0, Y0, Y3 \
	VBLENDV Y3, Y0, Y2, Y2 \
	P(Y2, DI)
TEXT MIN, NOSPLIT, $0-24
	TWO
	EACH(MINSTEP, loop, last, done)

#define MAXSTEP(G, P) \
	G(DI, Y0) \
	G(SI, Y1) \
	VMAX Y1, Y0, Y2 \
	VCMP $3, Y0, Y0, Y3 \
	VBLENDV Y3, Y0, Y2, Y2 \
	P(Y2, DI)
TEXT MAX, NOSPLIT, $0-24
	TWO
	EACH(MAXSTEP, loop, last, done)

#define AXPYSTEP(G, P) \
	G(DI, Y0) \
	G(SI, Y1) \
	FMA Y1, Y8, Y0 \
	P(Y0, DI)
TEXT AXPY, NOSPLIT, $0-32
	TWOBY
	BROADCAST (DX), Y8
	EACH(AXPYSTEP, loop, last, done)

#define BLENDSTEP(G, P) \
	G(DI, Y0) \
	G(SI, Y1) \
	VMUL Y8, Y0, Y0 \
	FMA Y1, Y9, Y0 \
	P(Y0, DI)
TEXT BLEND, NOSPLIT, $0-32
	TWOBY
	BROADCAST (DX), Y8
	BROADCAST SIZE(DX), Y9
	EACH(BLENDSTEP, loop, last, done)

#define SCALESTEP(G, P) \
	G(DI, Y0) \
	VMUL Y8, Y0, Y0 \
	P(Y0, DI)
TEXT SCALE, NOSPLIT, $0-24
	TWO
	BROADCAST (SI), Y8
	EACH(SCALESTEP, loop, last, done)

// REDUCE adds up Y0…Y3 into the first element of X0.
#define REDUCE \
	VADD Y1, Y0, Y0 \
	VADD Y3, Y2, Y2 \
	VADD Y2, Y0, Y0 \
	VEXTRACTF128 $1, Y0, X1 \
	VADD X1, X0, X0 \
	REDUCEX

#define DOTSTEP(G, s, y) \
	G(DI, y) \
	G(SI, Y8) \
	FMA Y8, y, s
// func(x, y, sum unsafe.Pointer, n int)
TEXT DOT, NOSPLIT, $0-32
	MOVQ x+0(FP), DI
	MOVQ y+8(FP), SI
	MOVQ sum+16(FP), DX
	MOVQ n+24(FP), CX
	FOLD(DOTSTEP, quad, one, last, done)
	REDUCE
	SCALARMOV X0, (DX)
	VZEROUPPER
	RET

#define SUMSTEP(G, s, y) \
	G(DI, y) \
	VADD y, s, s
// func(x, sum unsafe.Pointer, n int)
TEXT SUM, NOSPLIT, $0-24
	MOVQ x+0(FP), DI
	MOVQ sum+8(FP), DX
	MOVQ n+16(FP), CX
	FOLD(SUMSTEP, quad, one, last, done)
	REDUCE
	SCALARMOV X0, (DX)
	VZEROUPPER
	RET

#define SUMABSSTEP(G, s, y) \
	G(DI, y) \
	VANDPS Y14, y, y \
	VADD y, s, s
// func(x, sum unsafe.Pointer, n int)
TEXT SUMABS, NOSPLIT, $0-24
	MOVQ x+0(FP), DI
	MOVQ sum+8(FP), DX
	MOVQ n+16(FP), CX
	ABSMASK(Y14)
	FOLD(SUMABSSTEP, quad, one, last, done)
	REDUCE
	SCALARMOV X0, (DX)
	VZEROUPPER
	RET

// As integers, absolute values are in the same order, and what isn't a number is above all others.
#define MAXABSSTEP(G, s, y) \
	G(DI, y) \
	VANDPS Y14, y, y \
	IMAX(y, s, Y8)
// func(x, most unsafe.Pointer, n int)
TEXT MAXABS, NOSPLIT, $0-24
	MOVQ x+0(FP), DI
	MOVQ most+8(FP), DX
	MOVQ n+16(FP), CX
	ABSMASK(Y14)
	FOLD(MAXABSSTEP, quad, one, last, done)
	IMAX(Y1, Y0, Y8)
	IMAX(Y3, Y2, Y8)
	IMAX(Y2, Y0, Y8)
	VMOVUPS Y0, (DX)
	VZEROUPPER
	RET

#define RELUSTEP(G, P) \
	G(SI, Y0) \
	VMAX Y0, Y8, Y0 \
	P(Y0, DI)
TEXT RELU, NOSPLIT, $0-24
	TWO
	VXORPS Y8, Y8, Y8
	EACH(RELUSTEP, loop, last, done)

#define RELUGRADSTEP(G, P) \
	G(DI, Y0) \
	G(SI, Y1) \
	VCMP $6, Y8, Y1, Y1 \
	VANDPS Y1, Y0, Y0 \
	P(Y0, DI)
TEXT RELUGRAD, NOSPLIT, $0-24
	TWO
	VXORPS Y8, Y8, Y8
	EACH(RELUGRADSTEP, loop, last, done)

// dst *= x (1 - x)
#define SIGMOIDGRADSTEP(G, P) \
	G(DI, Y0) \
	G(SI, Y1) \
	VSUB Y1, Y8, Y2 \
	VMUL Y2, Y1, Y1 \
	VMUL Y1, Y0, Y0 \
	P(Y0, DI)
TEXT SIGMOIDGRAD, NOSPLIT, $0-24
	TWO
	LEAQ TABLE(SB), R9
	BROADCAST ONE(R9), Y8
	EACH(SIGMOIDGRADSTEP, loop, last, done)

// dst *= 1 - x x
#define TANHGRADSTEP(G, P) \
	G(DI, Y0) \
	G(SI, Y1) \
	VMUL Y1, Y1, Y1 \
	VSUB Y1, Y8, Y1 \
	VMUL Y1, Y0, Y0 \
	P(Y0, DI)
TEXT TANHGRAD, NOSPLIT, $0-24
	TWO
	LEAQ TABLE(SB), R9
	BROADCAST ONE(R9), Y8
	EACH(TANHGRADSTEP, loop, last, done)

// A table of constants is at R9: 1/ln 2; -ln 2, its upper bits and the rest; a number so large that what's added to
// it is rounded to an integer, found in its lower bits; one half; exponents' bias, as an integer; the least and the
// largest argument of exp and the least of expm1; then the factors of the series 1 + r/2 + r²/6…, the last first.
#define LOG2E (0*SIZE)
#define LN2HI (1*SIZE)
#define LN2LO (2*SIZE)
#define MAGIC (3*SIZE)
#define HALF (4*SIZE)
#define BIAS (5*SIZE)
#define LEAST (6*SIZE)
#define MOST (7*SIZE)
#define LEAST1 (8*SIZE)
#define TWICE (9*SIZE)
#define SERIES(i) ((10+i)*SIZE)

// SPLIT makes Y0 n ln 2 + r: Y1 is n, Y0 becomes r, and Y2 (exp(r)-1)/r.
#define SPLIT \
	BROADCAST LOG2E(R9), Y3 \
	VMUL Y3, Y0, Y1 \
	VROUND $0, Y1, Y1 \
	BROADCAST LN2HI(R9), Y3 \
	FMA Y3, Y1, Y0 \
	BROADCAST LN2LO(R9), Y3 \
	FMA Y3, Y1, Y0 \
	POLYNOMIAL

#define TERM(i) \
	BROADCAST SERIES(i)(R9), Y3 \
	FMA213 Y3, Y0, Y2

// POWER makes y, an integer, 2 to its power; Y11 is MAGIC, Y12 BIAS.
#define POWER(y) \
	VADD Y11, y, y \
	INTADD Y12, y, y \
	INTSHIFT $MANTISSA, y, y

// EXPONENTIAL makes Y0 exp(Y0). Y8 and Y9 are its least and most, Y10 is one half, Y13 one. Powers of 2 are
// multiplied in twice, so that neither is out of range.
#define EXPONENTIAL \
	VMAX Y0, Y8, Y0 \
	VMIN Y0, Y9, Y0 \
	SPLIT \
	FMA213 Y13, Y0, Y2 \
	VMUL Y10, Y1, Y3 \
	VROUND $0, Y3, Y3 \
	VSUB Y3, Y1, Y1 \
	POWER(Y1) \
	POWER(Y3) \
	VMUL Y1, Y2, Y0 \
	VMUL Y3, Y0, Y0

#define CONSTANTS \
	LEAQ TABLE(SB), R9 \
	BROADCAST LEAST(R9), Y8 \
	BROADCAST MOST(R9), Y9 \
	BROADCAST HALF(R9), Y10 \
	BROADCAST MAGIC(R9), Y11 \
	BROADCAST BIAS(R9), Y12 \
	BROADCAST ONE(R9), Y13

// exp(x - by)
#define EXPSTEP(G, P) \
	G(SI, Y0) \
	VSUB Y7, Y0, Y0 \
	EXPONENTIAL \
	P(Y0, DI)
TEXT EXP, NOSPLIT, $0-32
	TWOBY
	BROADCAST (DX), Y7
	CONSTANTS
	EACH(EXPSTEP, loop, last, done)

// With e = exp(-|x|): 1/(1+e) if x is positive, else e/(1+e).
#define SIGMOIDSTEP(G, P) \
	G(SI, Y7) \
	VORPS Y14, Y7, Y0 \
	EXPONENTIAL \
	VBLENDV Y7, Y0, Y13, Y1 \
	VADD Y13, Y0, Y0 \
	VDIV Y0, Y1, Y0 \
	P(Y0, DI)
TEXT SIGMOID, NOSPLIT, $0-24
	TWO
	CONSTANTS
	SIGNMASK(Y14)
	EACH(SIGMOIDSTEP, loop, last, done)

// With e = exp(-2|x|) - 1: -e/(2+e), and x's sign.
#define TANHSTEP(G, P) \
	G(SI, Y7) \
	VORPS Y14, Y7, Y0 \
	VADD Y0, Y0, Y0 \
	VMAX Y0, Y8, Y0 \
	SPLIT \
	VMUL Y2, Y0, Y2 \
	POWER(Y1) \
	VSUB Y13, Y1, Y0 \
	FMA Y2, Y1, Y0 \
	VADD Y10, Y0, Y1 \
	VDIV Y1, Y0, Y0 \
	VANDNPS Y0, Y14, Y0 \
	VANDPS Y14, Y7, Y1 \
	VORPS Y1, Y0, Y0 \
	P(Y0, DI)
TEXT TANH, NOSPLIT, $0-24
	TWO
	CONSTANTS
	BROADCAST LEAST1(R9), Y8
	BROADCAST TWICE(R9), Y10
	SIGNMASK(Y14)
	EACH(TANHSTEP, loop, last, done)
