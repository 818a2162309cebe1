#include "textflag.h"

#define SIZE 4
#define SHIFT 2
#define MANTISSA 23
#define BROADCAST VBROADCASTSS
#define MASKMOV VMASKMOVPS
#define VADD VADDPS
#define VSUB VSUBPS
#define VMUL VMULPS
#define VDIV VDIVPS
#define VSQRT VSQRTPS
#define VMIN VMINPS
#define VMAX VMAXPS
#define VCMP VCMPPS
#define VBLENDV VBLENDVPS
#define VROUND VROUNDPS
#define FMA VFMADD231PS
#define FMA213 VFMADD213PS
#define FNMA VFNMADD231PS
#define INTADD VPADDD
#define INTSHIFT VPSLLD
#define SCALARMOV VMOVSS
#define IMAX(x, most, spare) VPMAXSD x, most, most
#define REDUCEX \
	VMOVSHDUP X0, X1 \
	VADDPS X1, X0, X0 \
	VUNPCKHPD X0, X0, X1 \
	VADDSS X1, X0, X0
#define ABSMASK(y) \
	VPCMPEQD y, y, y \
	VPSRLD $1, y, y
#define SIGNMASK(y) \
	VPCMPEQD y, y, y \
	VPSLLD $31, y, y
#define ONE (16*SIZE)
#define POLYNOMIAL \
	BROADCAST SERIES(0)(R9), Y2 \
	TERM(1) \
	TERM(2) \
	TERM(3) \
	TERM(4) \
	TERM(5) \
	TERM(6)
#define TABLE ·table32

#define ADD ·add32(SB)
#define ADDTO ·addTo32(SB)
#define MUL ·mul32(SB)
#define MIN ·min32(SB)
#define MAX ·max32(SB)
#define AXPY ·axpy32(SB)
#define BLEND ·blend32(SB)
#define SCALE ·scale32(SB)
#define DOT ·dot32(SB)
#define SUM ·sum32(SB)
#define SUMABS ·sumAbs32(SB)
#define MAXABS ·maxAbs32(SB)
#define RELU ·relu32(SB)
#define RELUGRAD ·reluGrad32(SB)
#define SIGMOIDGRAD ·sigmoidGrad32(SB)
#define TANHGRAD ·tanhGrad32(SB)
#define EXP ·exp32(SB)
#define SIGMOID ·sigmoid32(SB)
#define TANH ·tanh32(SB)
#define ADAM ·adam32(SB)
#define AMSGRAD ·amsgrad32(SB)
#define MOMENTUM ·momentum32(SB)
#define RMSPROP ·rmsprop32(SB)

#include "float_avx2_amd64.h"
#include "optim_avx2_amd64.h"

// func squares32(x, sum unsafe.Pointer, n int): of float32, summed up in float64.
TEXT ·squares32(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), DI
	MOVQ sum+8(FP), DX
	MOVQ n+16(FP), CX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	SHLQ $2, CX
	XORQ AX, AX
	SUBQ $64, CX
	JLT eight
sixteen:
	VCVTPS2PD (DI)(AX*1), Y4
	VCVTPS2PD 16(DI)(AX*1), Y5
	VCVTPS2PD 32(DI)(AX*1), Y6
	VCVTPS2PD 48(DI)(AX*1), Y7
	VFMADD231PD Y4, Y4, Y0
	VFMADD231PD Y5, Y5, Y1
	VFMADD231PD Y6, Y6, Y2
	VFMADD231PD Y7, Y7, Y3
	ADDQ $64, AX
	CMPQ AX, CX
	JLE sixteen
eight:
	ADDQ $32, CX
	CMPQ AX, CX
	JGT last
	VCVTPS2PD (DI)(AX*1), Y4
	VCVTPS2PD 16(DI)(AX*1), Y5
	VFMADD231PD Y4, Y4, Y0
	VFMADD231PD Y5, Y5, Y1
	ADDQ $32, AX
last:
	ADDQ $32, CX
	CUT(done)
	VMASKMOVPS (DI)(AX*1), Y15, Y4
	VEXTRACTF128 $1, Y4, X5
	VCVTPS2PD X4, Y4
	VCVTPS2PD X5, Y5
	VFMADD231PD Y4, Y4, Y2
	VFMADD231PD Y5, Y5, Y3
done:
	VADDPD Y1, Y0, Y0
	VADDPD Y3, Y2, Y2
	VADDPD Y2, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPD X1, X0, X0
	VUNPCKHPD X0, X0, X1
	VADDSD X1, X0, X0
	VMOVSD X0, (DX)
	VZEROUPPER
	RET
