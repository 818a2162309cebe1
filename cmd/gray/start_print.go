package main

import (
	"fmt"
	"strings"

	"github.com/gray-runtime/gray/internal/daemon"
)

func (s *starter) printHead(head daemon.Info, node, joined string) {
	if s.asJSON {
		_ = s.json(head)
		return
	}
	fmt.Fprintf(s.out, "The cluster at %s accepts jobs. %s\n", head.Address, node)
	if joined != "" {
		fmt.Fprintln(s.out, joined)
	}
	fmt.Fprintln(s.out)
	fmt.Fprintf(s.out, "Add a machine:    gray start --address %s --token %s\n", head.Address, head.Token)
	fmt.Fprintf(s.out, "Add a head:       gray start --head --join %s --token %s\n", head.Address, head.Token)
	fmt.Fprintf(s.out, "Run a job:        gray submit job.go\n")
	fmt.Fprintf(s.out, "See what it does: gray status\n")
	if head.HTTPAddress != "" {
		fmt.Fprintf(s.out, "In a browser:     gray dashboard\n")
	}
	fmt.Fprintf(s.out, "End it:           gray stop\n\n")
	if head.HTTPAddress != "" {
		fmt.Fprintf(s.out, "HTTP:             http://%s (token needed)\n", head.HTTPAddress)
	}
	fmt.Fprintf(s.out, "Data and logs:    %s\n", s.root)
}

// printWaiting tells of a head that can't do anything before others are there.
func (s *starter) printWaiting(head daemon.Info, node string) {
	if s.asJSON {
		_ = s.json(head)
		return
	}
	fmt.Fprintf(s.out, "The head at %s runs and waits for others: %s. %s\n\n", head.Address, head.Waiting, node)
	fmt.Fprintf(s.out, "Start the others: gray start --head, on their machines\n")
	fmt.Fprintf(s.out, "See the heads:    gray heads --stale\n")
	fmt.Fprintf(s.out, "End it:           gray stop\n\n")
	fmt.Fprintf(s.out, "Data and logs:    %s\n", s.root)
}

func (s *starter) printNode(node daemon.Info) {
	if s.asJSON {
		_ = s.json(node)
		return
	}
	fmt.Fprintf(s.out, "Node n%d has joined the cluster at %s and offers %s.%s\n\n", node.Node, s.address, s.offer(), answersMetrics(node))
	fmt.Fprintf(s.out, "See the cluster:  gray status --address %s\n", s.address)
	fmt.Fprintf(s.out, "End it:           gray stop\n\n")
	fmt.Fprintf(s.out, "Data and logs:    %s\n", node.DataDir)
}

// answersMetrics says where a node answers requests of metrics itself, if it does.
func answersMetrics(node daemon.Info) string {
	if node.Metrics == "" {
		return ""
	}
	return " It answers GET /metrics at " + node.Metrics + "."
}

// offer is the node's resources in words.
func (s *starter) offer() string {
	var parts []string
	for _, name := range sortedKeys(s.nodeShape.resources) {
		parts = append(parts, formatQuantity(name, s.nodeShape.resources[name])+" "+name)
	}
	return strings.Join(append(parts, formatSize(s.storeBytes)+" object store"), ", ")
}
