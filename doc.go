// Package gray is the root of the module: it holds nothing but the rules of the
// house, as tests. Jobs import package sdk below it.
package gray
