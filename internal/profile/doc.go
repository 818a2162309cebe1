// Package profile takes profiles of the process that it's in, for whoever asks that
// process from outside: what its goroutines do, where its time and its memory go.
//
// It owns nothing but the turn of profiles that take time: one at a time. It never
// writes files, and holds nothing after Take has returned.
//
// Invariants: a profile takes MaxDuration and MaxBytes at most; the rates of profiles
// that the runtime doesn't take by default are set back when Take returns.
package profile
