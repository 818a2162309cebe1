// A program that isn't a job.
package main

import "fmt"

func main() { fmt.Println("no job") }
