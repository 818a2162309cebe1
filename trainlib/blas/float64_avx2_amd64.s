#include "textflag.h"
#include "go_asm.h"

#define BROADCAST VBROADCASTSD
#define FMA VFMADD231PD
#define FMA213 VFMADD213PD
#define MUL VMULPD
#define MASKMOV VMASKMOVPD

// PUTPART stores CX elements of Y4, at most 4, at R9.
#define PUTPART(two, one, next) \
	TESTQ $4, CX \
	JEQ two \
	VMOVUPD Y4, (R9) \
	JMP next \
two: \
	TESTQ $2, CX \
	JEQ one \
	VMOVUPD X4, (R9) \
	VEXTRACTF128 $1, Y4, X4 \
	ADDQ $16, R9 \
one: \
	TESTQ $1, CX \
	JEQ next \
	VMOVSD X4, (R9)

#define WIDE ·wide64(SB)
#define CUT ·cut64(SB)
#define SLIM ·slim64(SB)
#define PACKROWS ·packRows64(SB)
#define PACKSLIM ·packSlim64(SB)

#include "tile_avx2_amd64.h"

// func turn64(dst unsafe.Pointer, stride int, rows *[8]unsafe.Pointer, n int)
TEXT ·turn64(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ stride+8(FP), DX
	MOVQ rows+16(FP), AX
	MOVQ n+24(FP), CX
	MOVQ (AX), BX
	MOVQ 8(AX), SI
	MOVQ 16(AX), R8
	MOVQ 24(AX), R9
	XORQ AX, AX
four:
	VMOVUPD (BX)(AX*1), Y0
	VMOVUPD (SI)(AX*1), Y1
	VMOVUPD (R8)(AX*1), Y2
	VMOVUPD (R9)(AX*1), Y3
	ADDQ $32, AX
	VUNPCKLPD Y1, Y0, Y4
	VUNPCKHPD Y1, Y0, Y5
	VUNPCKLPD Y3, Y2, Y6
	VUNPCKHPD Y3, Y2, Y7
	VPERM2F128 $0x20, Y6, Y4, Y0
	VPERM2F128 $0x20, Y7, Y5, Y1
	VPERM2F128 $0x31, Y6, Y4, Y2
	VPERM2F128 $0x31, Y7, Y5, Y3
	VMOVUPD Y0, (DI)
	ADDQ DX, DI
	VMOVUPD Y1, (DI)
	ADDQ DX, DI
	VMOVUPD Y2, (DI)
	ADDQ DX, DI
	VMOVUPD Y3, (DI)
	ADDQ DX, DI
	DECQ CX
	JNZ four
	VZEROUPPER
	RET
