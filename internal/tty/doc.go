// Package tty makes text that others have written fit to be shown in a terminal, and
// says what a terminal is to be shown.
//
// It owns no terminal and changes none.
//
// Invariants: what leaves Line, Writer and JSON has no control character but newlines, tabs
// and whole colour sequences (SGR), and none that turns the direction of writing, so
// that no text of a job moves the cursor, hides what stands there, or asks the terminal
// to answer.
package tty
