package main

import (
	"os"

	"github.com/gray-runtime/gray/internal/embed"
)

func main() {
	embed.RunRole()
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
