// Package e2e tests the gray program as its users have it: the binary is built
// once, and every test runs heads, nodes and jobs as processes with a home, a run
// folder and a temporary folder of their own, kills some, feeds them garbage,
// and checks that nothing is left behind.
//
// It imports nothing of the module: what it sees is what users see. Jobs that
// only tests need are below testdata.
package e2e
