package blas

import (
	"os"

	"golang.org/x/sys/cpu"
)

func detect() isa {
	found := none
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		found = avx2
	}
	if found == avx2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL {
		found = avx512
	}
	switch os.Getenv("GRAY_BLAS") {
	case "gonum":
		return none
	case "avx2":
		return min(found, avx2)
	}
	return found
}
