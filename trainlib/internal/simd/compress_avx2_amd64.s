// Kernels of compression, of float32. All take a multiple of 8 or 16 elements, above 0, and compute what plain Go does to the bit.

#include "textflag.h"

// Factors at DX: a scale; its inverse, or a limit; a key of random numbers; the place of the first element.
#define PACKED(n8) \
	MOVQ q+0(FP), DI \
	MOVQ lost+8(FP), BX \
	MOVQ v+16(FP), SI \
	MOVQ by+24(FP), DX \
	MOVQ n+32(FP), CX \
	SHRQ $n8, CX \
	VBROADCASTSS (DX), Y8 \
	VBROADCASTSS 4(DX), Y9

#define UNPACKED(n8) \
	MOVQ out+0(FP), DI \
	MOVQ q+8(FP), SI \
	MOVQ by+16(FP), DX \
	MOVQ n+24(FP), CX \
	SHRQ $n8, CX \
	VBROADCASTSS (DX), Y8

DATA places<>+0(SB)/8, $0x0000000100000000
DATA places<>+8(SB)/8, $0x0000000300000002
DATA places<>+16(SB)/8, $0x0000000500000004
DATA places<>+24(SB)/8, $0x0000000700000006
GLOBL places<>(SB), RODATA|NOPTR, $32

DATA signs<>+0(SB)/8, $0x0000000600000007
DATA signs<>+8(SB)/8, $0x0000000400000005
DATA signs<>+16(SB)/8, $0x0000000200000003
DATA signs<>+24(SB)/8, $0x0000000000000001
GLOBL signs<>(SB), RODATA|NOPTR, $32

DATA pairs<>+0(SB)/8, $0x0000000200000000
DATA pairs<>+8(SB)/8, $0x0000000600000004
DATA pairs<>+16(SB)/8, $0x0000000a00000008
DATA pairs<>+24(SB)/8, $0x0000000e0000000c
GLOBL pairs<>(SB), RODATA|NOPTR, $32

// Numbers of 32 bits: factors of the random numbers, and others.
DATA words<>+0(SB)/4, $0x9e3779b9
DATA words<>+4(SB)/4, $0x85ebca6b
DATA words<>+8(SB)/4, $0xc2b2ae35
DATA words<>+12(SB)/4, $0x37800000 // 1/65536
DATA words<>+16(SB)/4, $0x43800000 // 256.0
DATA words<>+20(SB)/4, $256
DATA words<>+24(SB)/4, $-127
DATA words<>+28(SB)/4, $0x3f000000 // 0.5
DATA words<>+32(SB)/4, $8
DATA words<>+36(SB)/4, $-7
DATA words<>+40(SB)/4, $7
DATA words<>+44(SB)/4, $0x10011001 // 1, 16 in bytes
DATA words<>+48(SB)/4, $127
GLOBL words<>(SB), RODATA|NOPTR, $52

// RANDOM readies Y15 places times a factor, Y14 by what that rises in 1<<step places, Y13 and Y12 what MIX multiplies by;
// Y11 is the key.
#define RANDOM(step) \
	VPBROADCASTD words<>+0(SB), Y14 \
	VPBROADCASTD 12(DX), Y15 \
	VPADDD places<>(SB), Y15, Y15 \
	VPMULLD Y14, Y15, Y15 \
	VPSLLD $step, Y14, Y14 \
	VPBROADCASTD words<>+4(SB), Y13 \
	VPBROADCASTD words<>+8(SB), Y12 \
	VPBROADCASTD 8(DX), Y11

// MIX makes y 32 random bits of each place, and moves places on.
#define MIX(y, spare) \
	VPXOR Y11, Y15, y \
	VPADDD Y14, Y15, Y15 \
	VPSRLD $16, y, spare \
	VPXOR spare, y, y \
	VPMULLD Y13, y, y \
	VPSRLD $13, y, spare \
	VPXOR spare, y, y \
	VPMULLD Y12, y, y

// CHANCES makes y and z 256 and the chances, of 15 bits, of the places and of the 8 after.
#define CHANCES(y, z) \
	MIX(y, z) \
	VPSRLD $17, y, z \
	VPAND Y10, y, y \
	VPOR Y7, z, z \
	VPOR Y7, y, y

// BOUNDS readies Y4 256, Y5 and Y6 the least and the most that WHOLE gives, Y7 256 as float32 and Y10 15 bits.
#define BOUNDS(least, most) \
	VPBROADCASTD words<>+20(SB), Y4 \
	VPBROADCASTD words<>+least(SB), Y5 \
	VPBROADCASTD words<>+most(SB), Y6 \
	VBROADCASTSS words<>+16(SB), Y7 \
	VPCMPEQD Y10, Y10, Y10 \
	VPSRLD $17, Y10, Y10

// HALVES readies Y10 256.5.
#define HALVES \
	VBROADCASTSS words<>+28(SB), Y10 \
	VADDPS Y7, Y10, Y10

// WHOLE makes w the whole numbers of x times Y9 plus u, which is 256 too much, rounded down and within bounds; w may be u.
#define WHOLE(x, u, w, spare) \
	VMULPS Y9, x, spare \
	VADDPS u, spare, w \
	VCVTTPS2DQ w, w \
	VPSUBD Y4, w, w \
	VPMAXSD Y5, w, w \
	VPMINSD Y6, w, w

// LOSE stores what x lost, if anybody wants to know.
#define LOSE(x, w, spare, skip) \
	TESTQ BX, BX \
	JEQ skip \
	VCVTDQ2PS w, spare \
	VMULPS Y8, spare, spare \
	VSUBPS spare, x, spare \
	VMOVUPS spare, (BX) \
skip:

// LOSES is LOSE of the second of two registers, after which lost goes on.
#define LOSES(x, w, spare, skip) \
	TESTQ BX, BX \
	JEQ skip \
	VCVTDQ2PS w, spare \
	VMULPS Y8, spare, spare \
	VSUBPS spare, x, spare \
	VMOVUPS spare, 32(BX) \
	ADDQ $64, BX \
skip:

// NARROW8 stores Y1 and Y2 as bytes.
#define NARROW8 \
	VPACKSSDW Y2, Y1, Y1 \
	VPERMQ $0xd8, Y1, Y1 \
	VEXTRACTI128 $1, Y1, X2 \
	VPACKSSWB X2, X1, X1 \
	VMOVDQU X1, (DI) \
	ADDQ $16, DI \
	ADDQ $64, SI

// func packInt8(q, lost, v, by unsafe.Pointer, n int)
TEXT ·packInt8(SB), NOSPLIT, $0-40
	PACKED(4)
	BOUNDS(24, 48)
	HALVES
loop:
	VMOVUPS (SI), Y0
	WHOLE(Y0, Y10, Y1, Y3)
	LOSE(Y0, Y1, Y3, skip)
	VMOVUPS 32(SI), Y0
	WHOLE(Y0, Y10, Y2, Y3)
	LOSES(Y0, Y2, Y3, skip2)
	NARROW8
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// func packInt8Chance(q, lost, v, by unsafe.Pointer, n int)
TEXT ·packInt8Chance(SB), NOSPLIT, $0-40
	PACKED(4)
	BOUNDS(24, 48)
	RANDOM(4)
loop:
	CHANCES(Y1, Y2)
	VMOVUPS (SI), Y0
	WHOLE(Y0, Y1, Y1, Y3)
	LOSE(Y0, Y1, Y3, skip)
	VMOVUPS 32(SI), Y0
	WHOLE(Y0, Y2, Y2, Y3)
	LOSES(Y0, Y2, Y3, skip2)
	NARROW8
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// func unpackInt8(out, q, by unsafe.Pointer, n int)
TEXT ·unpackInt8(SB), NOSPLIT, $0-32
	UNPACKED(3)
loop:
	VPMOVSXBD (SI), Y0
	VCVTDQ2PS Y0, Y0
	VMULPS Y8, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $8, SI
	ADDQ $32, DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// func unpackInt8Add(out, q, by unsafe.Pointer, n int)
TEXT ·unpackInt8Add(SB), NOSPLIT, $0-32
	UNPACKED(3)
loop:
	VPMOVSXBD (SI), Y0
	VCVTDQ2PS Y0, Y0
	VMULPS Y8, Y0, Y0
	VADDPS (DI), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $8, SI
	ADDQ $32, DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// NARROW4 stores Y1 and Y2, each with 8 added, as nibbles.
#define NARROW4 \
	VPBROADCASTD words<>+32(SB), Y3 \
	VPADDD Y3, Y1, Y1 \
	VPADDD Y3, Y2, Y2 \
	VPACKSSDW Y2, Y1, Y1 \
	VPERMQ $0xd8, Y1, Y1 \
	VEXTRACTI128 $1, Y1, X3 \
	VPACKUSWB X3, X1, X1 \
	VPBROADCASTD words<>+44(SB), X2 \
	VPMADDUBSW X2, X1, X1 \
	VPACKUSWB X1, X1, X1 \
	VMOVQ X1, (DI) \
	ADDQ $8, DI \
	ADDQ $64, SI

// func packInt4(q, lost, v, by unsafe.Pointer, n int)
TEXT ·packInt4(SB), NOSPLIT, $0-40
	PACKED(4)
	BOUNDS(36, 40)
	HALVES
loop:
	VMOVUPS (SI), Y0
	WHOLE(Y0, Y10, Y1, Y3)
	LOSE(Y0, Y1, Y3, skip)
	VMOVUPS 32(SI), Y0
	WHOLE(Y0, Y10, Y2, Y3)
	LOSES(Y0, Y2, Y3, skip2)
	NARROW4
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// func packInt4Chance(q, lost, v, by unsafe.Pointer, n int)
TEXT ·packInt4Chance(SB), NOSPLIT, $0-40
	PACKED(4)
	BOUNDS(36, 40)
	RANDOM(4)
loop:
	CHANCES(Y1, Y2)
	VMOVUPS (SI), Y0
	WHOLE(Y0, Y1, Y1, Y3)
	LOSE(Y0, Y1, Y3, skip)
	VMOVUPS 32(SI), Y0
	WHOLE(Y0, Y2, Y2, Y3)
	LOSES(Y0, Y2, Y3, skip2)
	NARROW4
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

#define WIDEN4 \
	VPMOVZXBW (SI), X0 \
	VPSLLW $4, X0, X1 \
	VPOR X1, X0, X0 \
	VPAND X7, X0, X0 \
	VPMOVZXBD X0, Y1 \
	VPSRLDQ $8, X0, X0 \
	VPMOVZXBD X0, Y2 \
	VPSUBD Y9, Y1, Y1 \
	VPSUBD Y9, Y2, Y2 \
	VCVTDQ2PS Y1, Y1 \
	VCVTDQ2PS Y2, Y2 \
	VMULPS Y8, Y1, Y1 \
	VMULPS Y8, Y2, Y2

#define NIBBLES \
	VPBROADCASTD words<>+32(SB), Y9 \
	VPCMPEQD X7, X7, X7 \
	VPSRLW $12, X7, X7 \
	VPSLLW $8, X7, X6 \
	VPOR X6, X7, X7

// func unpackInt4(out, q, by unsafe.Pointer, n int)
TEXT ·unpackInt4(SB), NOSPLIT, $0-32
	UNPACKED(4)
	NIBBLES
loop:
	WIDEN4
	VMOVUPS Y1, (DI)
	VMOVUPS Y2, 32(DI)
	ADDQ $8, SI
	ADDQ $64, DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// func unpackInt4Add(out, q, by unsafe.Pointer, n int)
TEXT ·unpackInt4Add(SB), NOSPLIT, $0-32
	UNPACKED(4)
	NIBBLES
loop:
	WIDEN4
	VADDPS (DI), Y1, Y1
	VADDPS 32(DI), Y2, Y2
	VMOVUPS Y1, (DI)
	VMOVUPS Y2, 32(DI)
	ADDQ $8, SI
	ADDQ $64, DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// func packSigns(q, lost, v, by unsafe.Pointer, n int)
TEXT ·packSigns(SB), NOSPLIT, $0-40
	PACKED(3)
	VXORPS Y7, Y7, Y7
	VPCMPEQD Y6, Y6, Y6
	VPSLLD $31, Y6, Y6
	TESTQ BX, BX
	JEQ bits
loop:
	VMOVUPS (SI), Y0
	VADDPS Y7, Y0, Y1
	VMOVMSKPS Y1, AX
	XORL $0xff, AX
	MOVB AX, (DI)
	VANDPS Y6, Y1, Y1
	VXORPS Y8, Y1, Y1
	VSUBPS Y1, Y0, Y0
	VMOVUPS Y0, (BX)
	ADDQ $32, BX
	ADDQ $32, SI
	INCQ DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET
bits:
	VADDPS (SI), Y7, Y1
	VMOVMSKPS Y1, AX
	XORL $0xff, AX
	MOVB AX, (DI)
	ADDQ $32, SI
	INCQ DI
	DECQ CX
	JNZ bits
	VZEROUPPER
	RET

#define SIGNED \
	VPBROADCASTB (SI), Y0 \
	VPSLLVD Y7, Y0, Y0 \
	VPANDN Y6, Y0, Y0 \
	VXORPS Y8, Y0, Y0

// func unpackSigns(out, q, by unsafe.Pointer, n int)
TEXT ·unpackSigns(SB), NOSPLIT, $0-32
	UNPACKED(3)
	VMOVDQU signs<>(SB), Y7
	VPCMPEQD Y6, Y6, Y6
	VPSLLD $31, Y6, Y6
loop:
	SIGNED
	VMOVUPS Y0, (DI)
	INCQ SI
	ADDQ $32, DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// func unpackSignsAdd(out, q, by unsafe.Pointer, n int)
TEXT ·unpackSignsAdd(SB), NOSPLIT, $0-32
	UNPACKED(3)
	VMOVDQU signs<>(SB), Y7
	VPCMPEQD Y6, Y6, Y6
	VPSLLD $31, Y6, Y6
loop:
	SIGNED
	VADDPS (DI), Y0, Y0
	VMOVUPS Y0, (DI)
	INCQ SI
	ADDQ $32, DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// BITS2 stores pairs of bits: 1 where Y1 is set, 2 where Y2 is.
#define BITS2 \
	VMOVMSKPS Y1, AX \
	VMOVMSKPS Y2, R8 \
	PDEPL R10, AX, AX \
	PDEPL R11, R8, R8 \
	ORL R8, AX \
	MOVW AX, (DI)

// func packTernary(q, lost, v, by unsafe.Pointer, n int)
TEXT ·packTernary(SB), NOSPLIT, $0-40
	PACKED(3)
	MOVL $0x5555, R10
	MOVL $0xaaaa, R11
	VPCMPEQD Y6, Y6, Y6
	VPSLLD $31, Y6, Y6
	VXORPS Y6, Y9, Y7
	VXORPS Y6, Y8, Y6
loop:
	VMOVUPS (SI), Y0
	VCMPPS $0x1e, Y9, Y0, Y1
	VCMPPS $0x11, Y7, Y0, Y2
	BITS2
	TESTQ BX, BX
	JEQ skip
	VANDPS Y8, Y1, Y1
	VANDPS Y6, Y2, Y2
	VORPS Y2, Y1, Y1
	VSUBPS Y1, Y0, Y0
	VMOVUPS Y0, (BX)
	ADDQ $32, BX
skip:
	ADDQ $32, SI
	ADDQ $2, DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// func packChosen(q, lost, v, by unsafe.Pointer, n int); lost isn't used
TEXT ·packChosen(SB), NOSPLIT, $0-40
	PACKED(3)
	MOVL $0x5555, R10
	MOVL $0xaaaa, R11
	RANDOM(3)
	VBROADCASTSS words<>+12(SB), Y10
	VBROADCASTSS words<>+28(SB), Y7
	VPCMPEQD Y6, Y6, Y6
	VPSLLD $31, Y6, Y6
loop:
	VMULPS (SI), Y9, Y0
	MIX(Y3, Y2)
	VPSRLD $16, Y3, Y3
	VCVTDQ2PS Y3, Y3
	VADDPS Y7, Y3, Y3
	VMULPS Y10, Y3, Y3
	VCMPPS $0x1e, Y3, Y0, Y1
	VXORPS Y6, Y3, Y3
	VCMPPS $0x11, Y3, Y0, Y2
	BITS2
	ADDQ $32, SI
	ADDQ $2, DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

#define TERNARY \
	VMOVDQU pairs<>(SB), Y7 \
	VXORPS Y9, Y9, Y9 \
	VPCMPEQD Y10, Y10, Y10 \
	VPSLLD $31, Y10, Y10 \
	VXORPS Y8, Y10, Y10 \
	VUNPCKLPS Y8, Y9, Y11 \
	VUNPCKLPS Y9, Y10, Y12 \
	VSHUFPS $0x44, Y12, Y11, Y8

// func unpackTernary(out, q, by unsafe.Pointer, n int)
TEXT ·unpackTernary(SB), NOSPLIT, $0-32
	UNPACKED(3)
	TERNARY
loop:
	VPBROADCASTW (SI), Y0
	VPSRLVD Y7, Y0, Y0
	VPERMILPS Y0, Y8, Y0
	VMOVUPS Y0, (DI)
	ADDQ $2, SI
	ADDQ $32, DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// func unpackTernaryAdd(out, q, by unsafe.Pointer, n int)
TEXT ·unpackTernaryAdd(SB), NOSPLIT, $0-32
	UNPACKED(3)
	TERNARY
loop:
	VPBROADCASTW (SI), Y0
	VPSRLVD Y7, Y0, Y0
	VPERMILPS Y0, Y8, Y0
	VADDPS (DI), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $2, SI
	ADDQ $32, DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// func findLarge(places, v, by unsafe.Pointer, n int) int
// Places, counted from what by has third, go to places where there is room for all; how many is returned.
TEXT ·findLarge(SB), NOSPLIT, $0-40
	MOVQ places+0(FP), DI
	MOVQ v+8(FP), SI
	MOVQ by+16(FP), DX
	MOVQ n+24(FP), CX
	SHRQ $4, CX
	VBROADCASTSS (DX), Y8
	MOVL 8(DX), R9
	VPCMPEQD Y6, Y6, Y6
	VPSRLD $1, Y6, Y6
loop:
	VANDPS (SI), Y6, Y0
	VANDPS 32(SI), Y6, Y1
	VCMPPS $0x15, Y8, Y0, Y0
	VCMPPS $0x15, Y8, Y1, Y1
	VPACKSSDW Y1, Y0, Y2
	VPTEST Y2, Y2
	JEQ next
	VMOVMSKPS Y0, AX
	VMOVMSKPS Y1, R8
	SHLL $8, R8
	ORL R8, AX
bit:
	BSFL AX, R10
	ADDL R9, R10
	MOVL R10, (DI)
	ADDQ $4, DI
	LEAL -1(AX), R8
	ANDL R8, AX
	JNE bit
next:
	ADDL $16, R9
	ADDQ $64, SI
	DECQ CX
	JNZ loop
	SUBQ places+0(FP), DI
	SHRQ $2, DI
	MOVQ DI, ret+32(FP)
	VZEROUPPER
	RET

// func sumAbove(v, by unsafe.Pointer, n int) int
// The sum of absolute values above what by has second, in 8 parts, goes to by; how many they are is returned.
TEXT ·sumAbove(SB), NOSPLIT, $0-32
	MOVQ v+0(FP), SI
	MOVQ by+8(FP), DX
	MOVQ n+16(FP), CX
	SHRQ $3, CX
	VBROADCASTSS 4(DX), Y8
	VPCMPEQD Y6, Y6, Y6
	VPSRLD $1, Y6, Y6
	VXORPS Y0, Y0, Y0
	XORQ BX, BX
loop:
	VANDPS (SI), Y6, Y1
	VCMPPS $0x1e, Y8, Y1, Y2
	VMOVMSKPS Y2, AX
	POPCNTL AX, AX
	ADDQ AX, BX
	VANDPS Y2, Y1, Y1
	VADDPS Y1, Y0, Y0
	ADDQ $32, SI
	DECQ CX
	JNZ loop
	VMOVUPS Y0, (DX)
	MOVQ BX, ret+24(FP)
	VZEROUPPER
	RET

// ADDMOST adds 8 numbers at off, and makes y the greatest bits of their absolute values.
#define ADDMOST(off, y, spare) \
	VMOVUPS off(DI), spare \
	VADDPS off(SI), spare, spare \
	VMOVUPS spare, off(DI) \
	VPAND Y8, spare, spare \
	VPMAXSD spare, y, y

// func addMaxAbs(dst, x unsafe.Pointer, n int) uint32
// n is a multiple of 32. The bits of the largest absolute value are returned.
TEXT ·addMaxAbs(SB), NOSPLIT, $0-28
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	SHRQ $5, CX
	VPCMPEQD Y8, Y8, Y8
	VPSRLD $1, Y8, Y8
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
loop:
	ADDMOST(0, Y0, Y4)
	ADDMOST(32, Y1, Y5)
	ADDMOST(64, Y2, Y6)
	ADDMOST(96, Y3, Y7)
	ADDQ $128, SI
	ADDQ $128, DI
	DECQ CX
	JNZ loop
	VPMAXSD Y1, Y0, Y0
	VPMAXSD Y3, Y2, Y2
	VPMAXSD Y2, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPMAXSD X1, X0, X0
	VPSHUFD $0x4e, X0, X1
	VPMAXSD X1, X0, X0
	VPSHUFD $0xb1, X0, X1
	VPMAXSD X1, X0, X0
	VMOVD X0, AX
	MOVL AX, ret+24(FP)
	VZEROUPPER
	RET
