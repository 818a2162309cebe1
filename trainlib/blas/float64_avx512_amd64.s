#include "textflag.h"
#include "go_asm.h"

#define BROADCAST VBROADCASTSD
#define FMA VFMADD231PD
#define FMA213 VFMADD213PD
#define MUL VMULPD
#define MASKMOV512 VMOVUPD

#define WIDE512 ·wide64x512(SB)
#define CUT512 ·cut64x512(SB)

#include "tile_avx512_amd64.h"
