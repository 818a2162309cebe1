// Package proto holds the messages and gRPC services by which heads, nodes and
// the processes of jobs meet: cluster.proto between hosts, local.proto over a
// node's unix socket. It owns the wire's vocabulary and nothing else: no
// behaviour, no connection.
//
// Task frames between an owner and its workers are not here: their layout is
// the SDK's own (sdk/internal/process/frame.go).
package proto

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative cluster.proto local.proto
