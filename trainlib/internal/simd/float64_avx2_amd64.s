#include "textflag.h"

#define SIZE 8
#define SHIFT 3
#define MANTISSA 52
#define BROADCAST VBROADCASTSD
#define MASKMOV VMASKMOVPD
#define VADD VADDPD
#define VSUB VSUBPD
#define VMUL VMULPD
#define VDIV VDIVPD
#define VSQRT VSQRTPD
#define VMIN VMINPD
#define VMAX VMAXPD
#define VCMP VCMPPD
#define VBLENDV VBLENDVPD
#define VROUND VROUNDPD
#define FMA VFMADD231PD
#define FMA213 VFMADD213PD
#define FNMA VFNMADD231PD
#define INTADD VPADDQ
#define INTSHIFT VPSLLQ
#define SCALARMOV VMOVSD
#define IMAX(x, most, spare) \
	VPCMPGTQ most, x, spare \
	VBLENDVPD spare, x, most, most
#define REDUCEX \
	VUNPCKHPD X0, X0, X1 \
	VADDSD X1, X0, X0
#define ABSMASK(y) \
	VPCMPEQD y, y, y \
	VPSRLQ $1, y, y
#define SIGNMASK(y) \
	VPCMPEQD y, y, y \
	VPSLLQ $63, y, y
#define ONE (22*SIZE)
#define POLYNOMIAL \
	BROADCAST SERIES(0)(R9), Y2 \
	TERM(1) \
	TERM(2) \
	TERM(3) \
	TERM(4) \
	TERM(5) \
	TERM(6) \
	TERM(7) \
	TERM(8) \
	TERM(9) \
	TERM(10) \
	TERM(11) \
	TERM(12)
#define TABLE ·table64

#define ADD ·add64(SB)
#define ADDTO ·addTo64(SB)
#define MUL ·mul64(SB)
#define MIN ·min64(SB)
#define MAX ·max64(SB)
#define AXPY ·axpy64(SB)
#define BLEND ·blend64(SB)
#define SCALE ·scale64(SB)
#define DOT ·dot64(SB)
#define SUM ·sum64(SB)
#define SUMABS ·sumAbs64(SB)
#define MAXABS ·maxAbs64(SB)
#define RELU ·relu64(SB)
#define RELUGRAD ·reluGrad64(SB)
#define SIGMOIDGRAD ·sigmoidGrad64(SB)
#define TANHGRAD ·tanhGrad64(SB)
#define EXP ·exp64(SB)
#define SIGMOID ·sigmoid64(SB)
#define TANH ·tanh64(SB)
#define ADAM ·adam64(SB)
#define AMSGRAD ·amsgrad64(SB)
#define MOMENTUM ·momentum64(SB)
#define RMSPROP ·rmsprop64(SB)

#include "float_avx2_amd64.h"
#include "optim_avx2_amd64.h"
