#include "textflag.h"

// All take a multiple of 16 elements, above 0.

#define ARGUMENTS \
	MOVQ dst+0(FP), DI \
	MOVQ src+8(FP), SI \
	MOVQ n+16(FP), CX \
	SHRQ $4, CX

// AHEAD is how many bytes further on is asked for already: the CPU by itself stops at pages' ends.
#define AHEAD 1024

#define WALK \
	PREFETCHT0 AHEAD(SI) \
	PREFETCHT0 AHEAD(DI)

// func toFloat16(dst, src unsafe.Pointer, n int)
TEXT ·toFloat16(SB), NOSPLIT, $0-24
	ARGUMENTS
loop:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VCVTPS2PH $0, Y0, (DI)
	VCVTPS2PH $0, Y1, 16(DI)
	ADDQ $64, SI
	ADDQ $32, DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// func fromFloat16(dst, src unsafe.Pointer, n int)
TEXT ·fromFloat16(SB), NOSPLIT, $0-24
	ARGUMENTS
loop:
	WALK
	VCVTPH2PS (SI), Y0
	VCVTPH2PS 16(SI), Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ $32, SI
	ADDQ $64, DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// ROUND makes y, bits of float32, those of the nearest bfloat16, ties to even. Y8 is 0x7fff, Y9 1, Y10 0x40.
#define ROUND(y, s, nan) \
	VCMPPS $3, y, y, nan \
	VPSRLD $16, y, s \
	VPAND Y9, s, s \
	VPADDD Y8, s, s \
	VPADDD y, s, s \
	VPSRLD $16, s, s \
	VPSRLD $16, y, y \
	VPOR Y10, y, y \
	VPBLENDVB nan, y, s, y

// BRAINS readies what ROUND needs.
#define BRAINS \
	VPCMPEQD Y7, Y7, Y7 \
	VPSRLD $17, Y7, Y8 \
	VPSRLD $31, Y7, Y9 \
	VPSLLD $6, Y9, Y10

// BRAIN makes Y0 the 16 bfloat16 of what is at off.
#define BRAIN(off) \
	VMOVUPS off(SI), Y0 \
	VMOVUPS (off+32)(SI), Y1 \
	ROUND(Y0, Y2, Y3) \
	ROUND(Y1, Y4, Y5) \
	VPACKUSDW Y1, Y0, Y0 \
	VPERMQ $0xd8, Y0, Y0

// func toBFloat16(dst, src unsafe.Pointer, n int)
TEXT ·toBFloat16(SB), NOSPLIT, $0-24
	ARGUMENTS
	BRAINS
loop:
	BRAIN(0)
	VMOVDQU Y0, (DI)
	ADDQ $64, SI
	ADDQ $32, DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// func fromBFloat16(dst, src unsafe.Pointer, n int)
TEXT ·fromBFloat16(SB), NOSPLIT, $0-24
	ARGUMENTS
loop:
	WALK
	VPMOVZXWD (SI), Y0
	VPMOVZXWD 16(SI), Y1
	VPSLLD $16, Y0, Y0
	VPSLLD $16, Y1, Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ $32, SI
	ADDQ $64, DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// The streams write whole lines of 64 bytes past the caches. dst begins with a line; those that make 16 bits take a
// multiple of 32 elements.

// func streamToFloat16(dst, src unsafe.Pointer, n int)
TEXT ·streamToFloat16(SB), NOSPLIT, $0-24
	ARGUMENTS
	SHRQ $1, CX
loop:
	PREFETCHNTA AHEAD(SI)
	PREFETCHNTA (AHEAD+64)(SI)
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS 64(SI), Y2
	VMOVUPS 96(SI), Y3
	VCVTPS2PH $0, Y0, X0
	VCVTPS2PH $0, Y1, X1
	VCVTPS2PH $0, Y2, X2
	VCVTPS2PH $0, Y3, X3
	VMOVNTDQ X0, (DI)
	VMOVNTDQ X1, 16(DI)
	VMOVNTDQ X2, 32(DI)
	VMOVNTDQ X3, 48(DI)
	ADDQ $128, SI
	ADDQ $64, DI
	DECQ CX
	JNZ loop
	SFENCE
	VZEROUPPER
	RET

// func streamFromFloat16(dst, src unsafe.Pointer, n int)
TEXT ·streamFromFloat16(SB), NOSPLIT, $0-24
	ARGUMENTS
loop:
	PREFETCHNTA AHEAD(SI)
	VCVTPH2PS (SI), Y0
	VCVTPH2PS 16(SI), Y1
	VMOVNTPS Y0, (DI)
	VMOVNTPS Y1, 32(DI)
	ADDQ $32, SI
	ADDQ $64, DI
	DECQ CX
	JNZ loop
	SFENCE
	VZEROUPPER
	RET

// func streamToBFloat16(dst, src unsafe.Pointer, n int)
TEXT ·streamToBFloat16(SB), NOSPLIT, $0-24
	ARGUMENTS
	BRAINS
	SHRQ $1, CX
loop:
	PREFETCHNTA AHEAD(SI)
	PREFETCHNTA (AHEAD+64)(SI)
	BRAIN(0)
	VMOVNTDQ Y0, (DI)
	BRAIN(64)
	VMOVNTDQ Y0, 32(DI)
	ADDQ $128, SI
	ADDQ $64, DI
	DECQ CX
	JNZ loop
	SFENCE
	VZEROUPPER
	RET

// func streamFromBFloat16(dst, src unsafe.Pointer, n int)
TEXT ·streamFromBFloat16(SB), NOSPLIT, $0-24
	ARGUMENTS
loop:
	PREFETCHNTA AHEAD(SI)
	VPMOVZXWD (SI), Y0
	VPMOVZXWD 16(SI), Y1
	VPSLLD $16, Y0, Y0
	VPSLLD $16, Y1, Y1
	VMOVNTPS Y0, (DI)
	VMOVNTPS Y1, 32(DI)
	ADDQ $32, SI
	ADDQ $64, DI
	DECQ CX
	JNZ loop
	SFENCE
	VZEROUPPER
	RET
