// A job that doesn't compile.
package main

import gray "github.com/gray-runtime/gray/sdk"

func main() { gray.Main(undefinedHere) }
