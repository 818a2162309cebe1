package machine

import (
	"os"
	"path/filepath"
	"strings"
)

// GPUs is how many GPUs processes here can use: those that CUDA_VISIBLE_DEVICES names, if
// it's set, or those that the machine has device files of.
func GPUs() int {
	if visible, set := os.LookupEnv("CUDA_VISIBLE_DEVICES"); set {
		return namedGPUs(visible)
	}
	files, _ := filepath.Glob("/dev/nvidia[0-9]*") // the pattern is right
	return len(files)
}

// namedGPUs counts the devices that a variable names. Those after one that isn't valid
// don't count, as for CUDA.
func namedGPUs(visible string) int {
	count := 0
	for name := range strings.SplitSeq(visible, ",") {
		if name = strings.TrimSpace(name); name == "" || name == "-1" || name == "NoDevFiles" {
			break
		}
		count++
	}
	return count
}
