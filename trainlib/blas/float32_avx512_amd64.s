#include "textflag.h"
#include "go_asm.h"

#define BROADCAST VBROADCASTSS
#define FMA VFMADD231PS
#define FMA213 VFMADD213PS
#define MUL VMULPS
#define MASKMOV512 VMOVUPS

#define WIDE512 ·wide32x512(SB)
#define CUT512 ·cut32x512(SB)

#include "tile_avx512_amd64.h"
