package fsm

//go:generate protoc -I . -I ../../proto --go_out=. --go_opt=paths=source_relative --go_opt=Mcluster.proto=github.com/gray-runtime/gray/proto command.proto
