// Package logtail reads log files that become NAME.1 when they're full: their last
// lines, and what is added to them.
//
// An offset counts from the beginning of NAME.1, if there is one, through NAME. It never
// writes, and holds no file open between two looks.
package logtail
