package simd

import (
	"os"

	"golang.org/x/sys/cpu"
)

// vectors says that there is assembly that this CPU runs: it needs AVX2, FMA and F16C. Tests change it.
var vectors = cpu.X86.HasAVX2 && cpu.X86.HasFMA && hasF16C() && os.Getenv("GRAY_SIMD") != "off"

func hasF16C() bool
