// The product of tiles with AVX-512, for both types of numbers: the including file says which by what it defines.
//
// AX *tile   CX rows of b left   SI, DX, R12, R13 a's rows 0, 3, 6 and 9   R8, R9 a's strides
// BX b       R10 b's stride      DI c   R11 c's stride
// Z0, Z1 a row of b, which K1 and K2 mask   Z2, Z3 elements of a   Z8…Z31 what c's rows gain, two registers each

#define ARGUMENTS512 \
	MOVQ t+0(FP), AX \
	MOVQ tile_ars(AX), R8 \
	MOVQ tile_acs(AX), R9 \
	MOVQ tile_brs(AX), R10 \
	MOVQ tile_c(AX), DI \
	MOVQ tile_ldc(AX), R11

// START512 readies the product of some rows.
#define START512 \
	MOVQ tile_k(AX), CX \
	MOVQ tile_a(AX), SI \
	ADDQ tile_done(AX), SI \
	LEAQ (R8)(R8*2), R13 \
	LEAQ (SI)(R13*1), DX \
	LEAQ (SI)(R13*2), R12 \
	LEAQ (DX)(R13*2), R13 \
	MOVQ tile_b(AX), BX

#define FULL512 \
	VMOVUPS (BX), Z0 \
	VMOVUPS 64(BX), Z1

#define MASKED512 \
	MASKMOV512.Z (BX), K1, Z0 \
	MASKMOV512.Z 64(BX), K2, Z1

#define NEXT512 \
	ADDQ R9, SI \
	ADDQ R9, DX \
	ADDQ R10, BX \
	DECQ CX

#define CLEAR512(r, s) \
	VPXORD r, r, r \
	VPXORD s, s, s

#define TWO512(e, f, p, q, r, s) \
	BROADCAST e, Z2 \
	BROADCAST f, Z3 \
	FMA Z0, Z2, p \
	FMA Z1, Z2, q \
	FMA Z0, Z3, r \
	FMA Z1, Z3, s

// SOON512 fetches a row of c that is wanted when the product is done.
#define SOON512 \
	PREFETCHT0 (SI) \
	PREFETCHT0 64(SI) \
	ADDQ R11, SI

#define ROWS12_512(loop, LOAD) \
	MOVQ DI, SI \
	SOON512 \
	SOON512 \
	SOON512 \
	SOON512 \
	SOON512 \
	SOON512 \
	SOON512 \
	SOON512 \
	SOON512 \
	SOON512 \
	SOON512 \
	SOON512 \
	START512 \
	CLEAR512(Z8, Z9) \
	CLEAR512(Z10, Z11) \
	CLEAR512(Z12, Z13) \
	CLEAR512(Z14, Z15) \
	CLEAR512(Z16, Z17) \
	CLEAR512(Z18, Z19) \
	CLEAR512(Z20, Z21) \
	CLEAR512(Z22, Z23) \
	CLEAR512(Z24, Z25) \
	CLEAR512(Z26, Z27) \
	CLEAR512(Z28, Z29) \
	CLEAR512(Z30, Z31) \
loop: \
	LOAD \
	TWO512((SI), (SI)(R8*1), Z8, Z9, Z10, Z11) \
	TWO512((SI)(R8*2), (DX), Z12, Z13, Z14, Z15) \
	TWO512((DX)(R8*1), (DX)(R8*2), Z16, Z17, Z18, Z19) \
	TWO512((R12), (R12)(R8*1), Z20, Z21, Z22, Z23) \
	TWO512((R12)(R8*2), (R13), Z24, Z25, Z26, Z27) \
	TWO512((R13)(R8*1), (R13)(R8*2), Z28, Z29, Z30, Z31) \
	ADDQ R9, R12 \
	ADDQ R9, R13 \
	NEXT512 \
	JNZ loop

#define ROWS4_512(loop, LOAD) \
	START512 \
	CLEAR512(Z8, Z9) \
	CLEAR512(Z10, Z11) \
	CLEAR512(Z12, Z13) \
	CLEAR512(Z14, Z15) \
loop: \
	LOAD \
	TWO512((SI), (SI)(R8*1), Z8, Z9, Z10, Z11) \
	TWO512((SI)(R8*2), (DX), Z12, Z13, Z14, Z15) \
	NEXT512 \
	JNZ loop

#define ROWS1_512(loop, LOAD) \
	START512 \
	CLEAR512(Z8, Z9) \
loop: \
	LOAD \
	BROADCAST (SI), Z2 \
	FMA Z0, Z2, Z8 \
	FMA Z1, Z2, Z9 \
	NEXT512 \
	JNZ loop

// What is gained goes to c: ADD… adds it, SET… doesn't look at what's there. Z0 is alpha.

#define ADDFULL512(r, s) \
	FMA213 (DI), Z0, r \
	FMA213 64(DI), Z0, s \
	VMOVUPS r, (DI) \
	VMOVUPS s, 64(DI) \
	ADDQ R11, DI

#define SETFULL512(r, s) \
	MUL Z0, r, r \
	MUL Z0, s, s \
	VMOVUPS r, (DI) \
	VMOVUPS s, 64(DI) \
	ADDQ R11, DI

#define ADDMASKED512(r, s) \
	MASKMOV512.Z (DI), K1, Z2 \
	MASKMOV512.Z 64(DI), K2, Z3 \
	FMA213 Z2, Z0, r \
	FMA213 Z3, Z0, s \
	MASKMOV512 r, K1, (DI) \
	MASKMOV512 s, K2, 64(DI) \
	ADDQ R11, DI

#define SETMASKED512(r, s) \
	MUL Z0, r, r \
	MUL Z0, s, s \
	MASKMOV512 r, K1, (DI) \
	MASKMOV512 s, K2, 64(DI) \
	ADDQ R11, DI

#define GAIN512(set) \
	BROADCAST tile_alpha(AX), Z0 \
	CMPQ tile_add(AX), $0 \
	JEQ set

#define OUT12_512(PUT) \
	PUT(Z8, Z9) \
	PUT(Z10, Z11) \
	PUT(Z12, Z13) \
	PUT(Z14, Z15) \
	PUT(Z16, Z17) \
	PUT(Z18, Z19) \
	PUT(Z20, Z21) \
	PUT(Z22, Z23) \
	PUT(Z24, Z25) \
	PUT(Z26, Z27) \
	PUT(Z28, Z29) \
	PUT(Z30, Z31)

#define OUT4_512(PUT) \
	PUT(Z8, Z9) \
	PUT(Z10, Z11) \
	PUT(Z12, Z13) \
	PUT(Z14, Z15)

#define OUT1_512(PUT) \
	PUT(Z8, Z9)

TEXT WIDE512, NOSPLIT, $0-8
	ARGUMENTS512
twelve:
	CMPQ tile_m(AX), $12
	JLT four
	ROWS12_512(loop12, FULL512)
	GAIN512(set12)
	OUT12_512(ADDFULL512)
	JMP next12
set12:
	OUT12_512(SETFULL512)
next12:
	MOVQ tile_next(AX), CX
	ADDQ CX, tile_done(AX)
	SUBQ $12, tile_m(AX)
	JMP twelve
four:
	CMPQ tile_m(AX), $4
	JLT one
	ROWS4_512(loop4, FULL512)
	GAIN512(set4)
	OUT4_512(ADDFULL512)
	JMP next4
set4:
	OUT4_512(SETFULL512)
next4:
	LEAQ (R8*4), CX
	ADDQ CX, tile_done(AX)
	SUBQ $4, tile_m(AX)
	JMP four
one:
	CMPQ tile_m(AX), $1
	JLT done
	ROWS1_512(loop1, FULL512)
	GAIN512(set1)
	OUT1_512(ADDFULL512)
	JMP next1
set1:
	OUT1_512(SETFULL512)
next1:
	MOVQ R8, CX
	ADDQ CX, tile_done(AX)
	SUBQ $1, tile_m(AX)
	JMP one
done:
	VZEROUPPER
	RET

TEXT CUT512, NOSPLIT, $0-8
	ARGUMENTS512
	MOVQ tile_lanes(AX), CX
	KMOVW CX, K1
	SHRQ $16, CX
	KMOVW CX, K2
twelve:
	CMPQ tile_m(AX), $12
	JLT four
	ROWS12_512(loop12, MASKED512)
	GAIN512(set12)
	OUT12_512(ADDMASKED512)
	JMP next12
set12:
	OUT12_512(SETMASKED512)
next12:
	MOVQ tile_next(AX), CX
	ADDQ CX, tile_done(AX)
	SUBQ $12, tile_m(AX)
	JMP twelve
four:
	CMPQ tile_m(AX), $4
	JLT one
	ROWS4_512(loop4, MASKED512)
	GAIN512(set4)
	OUT4_512(ADDMASKED512)
	JMP next4
set4:
	OUT4_512(SETMASKED512)
next4:
	LEAQ (R8*4), CX
	ADDQ CX, tile_done(AX)
	SUBQ $4, tile_m(AX)
	JMP four
one:
	CMPQ tile_m(AX), $1
	JLT done
	ROWS1_512(loop1, MASKED512)
	GAIN512(set1)
	OUT1_512(ADDMASKED512)
	JMP next1
set1:
	OUT1_512(SETMASKED512)
next1:
	MOVQ R8, CX
	ADDQ CX, tile_done(AX)
	SUBQ $1, tile_m(AX)
	JMP one
done:
	VZEROUPPER
	RET
