//go:build amd64 || arm64 || riscv64 || loong64 || ppc64le || mips64le

package codec

// hostIsLittleEndian64 holds on every platform this file is built for; others
// don't compile. Numeric slices are copied and viewed as they lie in memory.
const hostIsLittleEndian64 = true
