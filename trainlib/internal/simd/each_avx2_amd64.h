// Loops over arrays, a register at a time.

// GET and PUT move a whole register between memory at AX bytes from p; the others as much as Y15 masks.
#define GET(p, y) VMOVUPS (p)(AX*1), y
#define PUT(y, p) VMOVUPS y, (p)(AX*1)
#define GETCUT(p, y) MASKMOV (p)(AX*1), Y15, y
#define PUTCUT(y, p) MASKMOV y, Y15, (p)(AX*1)

// CUT makes Y15 the mask of the bytes up to CX that are left from AX on; it goes to done if there are none.
#define CUT(done) \
	SUBQ AX, CX \
	JEQ done \
	NEGQ CX \
	LEAQ tails<>+32(SB), R13 \
	VMOVUPS (R13)(CX*1), Y15

// EACH does STEP(get, put) for CX elements, CX of them at least 0, and returns.
#define EACH(STEP, loop, last, done) \
	SHLQ $SHIFT, CX \
	XORQ AX, AX \
	SUBQ $32, CX \
	JLT last \
loop: \
	STEP(GET, PUT) \
	ADDQ $32, AX \
	CMPQ AX, CX \
	JLE loop \
last: \
	ADDQ $32, CX \
	CUT(done) \
	STEP(GETCUT, PUTCUT) \
done: \
	VZEROUPPER \
	RET

// FOLD is EACH four registers at a time for sums: STEP(get, i) adds to register i of Y0…Y3, and what it's given to
// work with is Y4…Y7. What's cut off is 0.
#define FOLD(STEP, quad, one, last, done) \
	VXORPS Y0, Y0, Y0 \
	VXORPS Y1, Y1, Y1 \
	VXORPS Y2, Y2, Y2 \
	VXORPS Y3, Y3, Y3 \
	SHLQ $SHIFT, CX \
	XORQ AX, AX \
	SUBQ $128, CX \
	JLT one \
quad: \
	STEP(GET, Y0, Y4) \
	ADDQ $32, AX \
	STEP(GET, Y1, Y5) \
	ADDQ $32, AX \
	STEP(GET, Y2, Y6) \
	ADDQ $32, AX \
	STEP(GET, Y3, Y7) \
	ADDQ $32, AX \
	CMPQ AX, CX \
	JLE quad \
one: \
	ADDQ $96, CX \
	CMPQ AX, CX \
	JGT last \
	STEP(GET, Y0, Y4) \
	ADDQ $32, AX \
	SUBQ $96, CX \
	JMP one \
last: \
	ADDQ $32, CX \
	CUT(done) \
	STEP(GETCUT, Y1, Y5) \
done:

DATA tails<>+0(SB)/8, $0xffffffffffffffff
DATA tails<>+8(SB)/8, $0xffffffffffffffff
DATA tails<>+16(SB)/8, $0xffffffffffffffff
DATA tails<>+24(SB)/8, $0xffffffffffffffff
DATA tails<>+32(SB)/8, $0
DATA tails<>+40(SB)/8, $0
DATA tails<>+48(SB)/8, $0
DATA tails<>+56(SB)/8, $0
GLOBL tails<>(SB), RODATA|NOPTR, $64
