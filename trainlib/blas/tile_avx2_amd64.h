// The product of tiles with AVX2 and FMA, for both types of numbers: the including file says which by what it defines.
//
// AX *tile   CX rows of b left   SI, DX a's rows 0 and 3   R8, R9 a's strides
// BX b       R10 b's stride      DI c   R11 c's stride     R12 the mask   R13 a's rows at hand
// Y0, Y1 a row of b   Y2, Y3 elements of a   Y4…Y15 what c's rows gain, two registers each

#define ARGUMENTS \
	MOVQ t+0(FP), AX \
	MOVQ tile_ars(AX), R8 \
	MOVQ tile_acs(AX), R9 \
	MOVQ tile_brs(AX), R10 \
	MOVQ tile_c(AX), DI \
	MOVQ tile_ldc(AX), R11 \
	MOVQ tile_mask(AX), R12 \
	MOVQ tile_a(AX), R13

// START readies the product of some rows.
#define START \
	MOVQ tile_k(AX), CX \
	MOVQ R13, SI \
	LEAQ (R8)(R8*2), DX \
	ADDQ SI, DX \
	MOVQ tile_b(AX), BX

#define FULL \
	VMOVUPS (BX), Y0 \
	VMOVUPS 32(BX), Y1

#define MASKED \
	VMOVUPS (BX), Y0 \
	VMOVUPS (R12), Y3 \
	MASKMOV 32(BX), Y3, Y1

#define NARROW \
	VMOVUPS (R12), Y2 \
	MASKMOV (BX), Y2, Y0

#define NEXT \
	ADDQ R9, SI \
	ADDQ R10, BX \
	DECQ CX

#define CLEAR2(r, s) \
	VXORPS r, r, r \
	VXORPS s, s, s

#define TIMES2(e, r, s) \
	FMA Y0, e, r \
	FMA Y1, e, s

// SOON fetches the rows of c that are wanted when the product is done.
#define SOON \
	LEAQ (R11)(R11*2), CX \
	ADDQ DI, CX \
	PREFETCHT0 (DI) \
	PREFETCHT0 (DI)(R11*1) \
	PREFETCHT0 (DI)(R11*2) \
	PREFETCHT0 (CX) \
	PREFETCHT0 (CX)(R11*1) \
	PREFETCHT0 (CX)(R11*2)

#define ROWS6(loop, LOAD) \
	SOON \
	START \
	CLEAR2(Y4, Y5) \
	CLEAR2(Y6, Y7) \
	CLEAR2(Y8, Y9) \
	CLEAR2(Y10, Y11) \
	CLEAR2(Y12, Y13) \
	CLEAR2(Y14, Y15) \
loop: \
	LOAD \
	BROADCAST (SI), Y2 \
	BROADCAST (SI)(R8*1), Y3 \
	TIMES2(Y2, Y4, Y5) \
	TIMES2(Y3, Y6, Y7) \
	BROADCAST (SI)(R8*2), Y2 \
	BROADCAST (DX), Y3 \
	TIMES2(Y2, Y8, Y9) \
	TIMES2(Y3, Y10, Y11) \
	BROADCAST (DX)(R8*1), Y2 \
	BROADCAST (DX)(R8*2), Y3 \
	TIMES2(Y2, Y12, Y13) \
	TIMES2(Y3, Y14, Y15) \
	ADDQ R9, DX \
	NEXT \
	JNZ loop

#define ROWS4(loop, LOAD) \
	START \
	CLEAR2(Y4, Y5) \
	CLEAR2(Y6, Y7) \
	CLEAR2(Y8, Y9) \
	CLEAR2(Y10, Y11) \
loop: \
	LOAD \
	BROADCAST (SI), Y2 \
	BROADCAST (SI)(R8*1), Y3 \
	TIMES2(Y2, Y4, Y5) \
	TIMES2(Y3, Y6, Y7) \
	BROADCAST (SI)(R8*2), Y2 \
	BROADCAST (DX), Y3 \
	TIMES2(Y2, Y8, Y9) \
	TIMES2(Y3, Y10, Y11) \
	ADDQ R9, DX \
	NEXT \
	JNZ loop

#define ROWS2(loop, LOAD) \
	START \
	CLEAR2(Y4, Y5) \
	CLEAR2(Y6, Y7) \
loop: \
	LOAD \
	BROADCAST (SI), Y2 \
	BROADCAST (SI)(R8*1), Y3 \
	TIMES2(Y2, Y4, Y5) \
	TIMES2(Y3, Y6, Y7) \
	NEXT \
	JNZ loop

#define ROWS1(loop, LOAD) \
	START \
	CLEAR2(Y4, Y5) \
loop: \
	LOAD \
	BROADCAST (SI), Y2 \
	TIMES2(Y2, Y4, Y5) \
	NEXT \
	JNZ loop

// The same, one register wide.

#define NARROW6(loop) \
	START \
	CLEAR2(Y4, Y6) \
	CLEAR2(Y8, Y10) \
	CLEAR2(Y12, Y14) \
loop: \
	NARROW \
	BROADCAST (SI), Y2 \
	BROADCAST (SI)(R8*1), Y3 \
	FMA Y0, Y2, Y4 \
	FMA Y0, Y3, Y6 \
	BROADCAST (SI)(R8*2), Y2 \
	BROADCAST (DX), Y3 \
	FMA Y0, Y2, Y8 \
	FMA Y0, Y3, Y10 \
	BROADCAST (DX)(R8*1), Y2 \
	BROADCAST (DX)(R8*2), Y3 \
	FMA Y0, Y2, Y12 \
	FMA Y0, Y3, Y14 \
	ADDQ R9, DX \
	NEXT \
	JNZ loop

#define NARROW1(loop) \
	START \
	CLEAR2(Y4, Y5) \
loop: \
	NARROW \
	BROADCAST (SI), Y2 \
	FMA Y0, Y2, Y4 \
	NEXT \
	JNZ loop

// What is gained goes to c: ADD… adds it, SET… doesn't look at what's there. Y0 is alpha, Y3 the mask.

#define ADDFULL(r, s) \
	FMA213 (DI), Y0, r \
	FMA213 32(DI), Y0, s \
	VMOVUPS r, (DI) \
	VMOVUPS s, 32(DI) \
	ADDQ R11, DI

#define SETFULL(r, s) \
	MUL Y0, r, r \
	MUL Y0, s, s \
	VMOVUPS r, (DI) \
	VMOVUPS s, 32(DI) \
	ADDQ R11, DI

// A part of a register goes to tile.rows first, at SI, and from there to c: stores with a mask are slow on many CPUs.

#define ADDNARROW(r, s) \
	MASKMOV (DI), Y3, Y1 \
	FMA213 Y1, Y0, r \
	VMOVUPS r, (SI) \
	ADDQ $32, SI \
	ADDQ R11, DI

#define SETNARROW(r, s) \
	MUL Y0, r, r \
	VMOVUPS r, (SI) \
	ADDQ $32, SI \
	ADDQ R11, DI

#define ADDMASKED(r, s) \
	FMA213 (DI), Y0, r \
	VMOVUPS r, (DI) \
	MASKMOV 32(DI), Y3, Y1 \
	FMA213 Y1, Y0, s \
	VMOVUPS s, (SI) \
	ADDQ $32, SI \
	ADDQ R11, DI

#define SETMASKED(r, s) \
	MUL Y0, r, r \
	VMOVUPS r, (DI) \
	MUL Y0, s, s \
	VMOVUPS s, (SI) \
	ADDQ $32, SI \
	ADDQ R11, DI

#define GAIN(set) \
	BROADCAST tile_alpha(AX), Y0 \
	CMPQ tile_add(AX), $0 \
	JEQ set

// GAINPART is GAIN where rows have a part of a register: c's first goes to BX.
#define GAINPART(set) \
	VMOVUPS (R12), Y3 \
	LEAQ tile_rows(AX), SI \
	MOVQ DI, BX \
	GAIN(set)

// PARTS moves what is in tile.rows up to SI to c, off bytes after BX.
#define PARTS(off, row, two, one, next) \
	MOVQ tile_part(AX), CX \
	LEAQ tile_rows(AX), DX \
row: \
	VMOVUPS (DX), Y4 \
	LEAQ off(BX), R9 \
	PUTPART(two, one, next) \
next: \
	ADDQ R11, BX \
	ADDQ $32, DX \
	CMPQ DX, SI \
	JNE row \
	MOVQ tile_acs(AX), R9

#define OUT6(PUT) \
	PUT(Y4, Y5) \
	PUT(Y6, Y7) \
	PUT(Y8, Y9) \
	PUT(Y10, Y11) \
	PUT(Y12, Y13) \
	PUT(Y14, Y15)

#define OUT4(PUT) \
	PUT(Y4, Y5) \
	PUT(Y6, Y7) \
	PUT(Y8, Y9) \
	PUT(Y10, Y11)

#define OUT2(PUT) \
	PUT(Y4, Y5) \
	PUT(Y6, Y7)

TEXT WIDE, NOSPLIT, $0-8
	ARGUMENTS
six:
	CMPQ tile_m(AX), $6
	JLT four
	ROWS6(loop6, FULL)
	GAIN(set6)
	OUT6(ADDFULL)
	JMP next6
set6:
	OUT6(SETFULL)
next6:
	ADDQ tile_next(AX), R13
	SUBQ $6, tile_m(AX)
	JMP six
four:
	CMPQ tile_m(AX), $4
	JLT two
	ROWS4(loop4, FULL)
	GAIN(set4)
	OUT4(ADDFULL)
	JMP next4
set4:
	OUT4(SETFULL)
next4:
	LEAQ (R13)(R8*4), R13
	SUBQ $4, tile_m(AX)
two:
	CMPQ tile_m(AX), $2
	JLT one
	ROWS2(loop2, FULL)
	GAIN(set2)
	OUT2(ADDFULL)
	JMP next2
set2:
	OUT2(SETFULL)
next2:
	LEAQ (R13)(R8*2), R13
	SUBQ $2, tile_m(AX)
one:
	CMPQ tile_m(AX), $1
	JLT done
	ROWS1(loop1, FULL)
	GAIN(set1)
	ADDFULL(Y4, Y5)
	JMP done
set1:
	SETFULL(Y4, Y5)
done:
	VZEROUPPER
	RET

TEXT CUT, NOSPLIT, $0-8
	ARGUMENTS
six:
	CMPQ tile_m(AX), $6
	JLT four
	ROWS6(loop6, MASKED)
	GAINPART(set6)
	OUT6(ADDMASKED)
	JMP next6
set6:
	OUT6(SETMASKED)
next6:
	PARTS(32, row6, p62, p61, p60)
	ADDQ tile_next(AX), R13
	SUBQ $6, tile_m(AX)
	JMP six
four:
	CMPQ tile_m(AX), $4
	JLT two
	ROWS4(loop4, MASKED)
	GAINPART(set4)
	OUT4(ADDMASKED)
	JMP next4
set4:
	OUT4(SETMASKED)
next4:
	PARTS(32, row4, p42, p41, p40)
	LEAQ (R13)(R8*4), R13
	SUBQ $4, tile_m(AX)
two:
	CMPQ tile_m(AX), $2
	JLT one
	ROWS2(loop2, MASKED)
	GAINPART(set2)
	OUT2(ADDMASKED)
	JMP next2
set2:
	OUT2(SETMASKED)
next2:
	PARTS(32, row2, p22, p21, p20)
	LEAQ (R13)(R8*2), R13
	SUBQ $2, tile_m(AX)
one:
	CMPQ tile_m(AX), $1
	JLT done
	ROWS1(loop1, MASKED)
	GAINPART(set1)
	ADDMASKED(Y4, Y5)
	JMP next1
set1:
	SETMASKED(Y4, Y5)
next1:
	PARTS(32, row1, p12, p11, p10)
done:
	VZEROUPPER
	RET

TEXT SLIM, NOSPLIT, $0-8
	ARGUMENTS
six:
	CMPQ tile_m(AX), $6
	JLT one
	NARROW6(loop6)
	GAINPART(set6)
	OUT6(ADDNARROW)
	JMP next6
set6:
	OUT6(SETNARROW)
next6:
	PARTS(0, row6, p62, p61, p60)
	ADDQ tile_next(AX), R13
	SUBQ $6, tile_m(AX)
	JMP six
one:
	CMPQ tile_m(AX), $1
	JLT done
	NARROW1(loop1)
	GAINPART(set1)
	ADDNARROW(Y4, Y5)
	JMP next1
set1:
	SETNARROW(Y4, Y5)
next1:
	PARTS(0, row1, p12, p11, p10)
	ADDQ R8, R13
	DECQ tile_m(AX)
	JMP one
done:
	VZEROUPPER
	RET

// PACKROWS copies k rows of two registers' width, masked: what the mask leaves out becomes 0.
TEXT PACKROWS, NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ stride+8(FP), R8
	MOVQ src+16(FP), SI
	MOVQ from+24(FP), R9
	MOVQ k+32(FP), CX
	MOVQ mask+40(FP), AX
	VMOVUPS (AX), Y2
	VMOVUPS 32(AX), Y3
pack:
	MASKMOV (SI), Y2, Y0
	MASKMOV 32(SI), Y3, Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ R9, SI
	ADDQ R8, DI
	DECQ CX
	JNZ pack
	VZEROUPPER
	RET

// PACKSLIM copies k rows of one register's width, masked likewise.
TEXT PACKSLIM, NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ stride+8(FP), R8
	MOVQ src+16(FP), SI
	MOVQ from+24(FP), R9
	MOVQ k+32(FP), CX
	MOVQ mask+40(FP), AX
	VMOVUPS (AX), Y2
slim:
	MASKMOV (SI), Y2, Y0
	VMOVUPS Y0, (DI)
	ADDQ R9, SI
	ADDQ R8, DI
	DECQ CX
	JNZ slim
	VZEROUPPER
	RET
