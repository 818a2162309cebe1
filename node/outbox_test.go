package node

import (
	"net"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/internal/wire"
	"github.com/gray-runtime/gray/proto"
)

func logLines(n int) *proto.ToProcess {
	return &proto.ToProcess{Body: &proto.ToProcess_LogLines{LogLines: &proto.LogLines{Lines: []string{strings.Repeat("x", n)}}}}
}

// TestOutboxOfOneWhoDoesNotRead: log lines are dropped, anything else gives the
// connection up, and nobody who pushes waits.
func TestOutboxOfOneWhoDoesNotRead(t *testing.T) {
	o := newOutbox()
	for range 10 {
		if !o.push(logLines(1 << 20)) {
			t.Fatal("log lines give the connection up")
		}
	}
	if o.logBytes > maxLogBytes {
		t.Errorf("%d bytes of log lines are kept", o.logBytes)
	}
	frame := &proto.ToProcess{Body: &proto.ToProcess_HeadResult{HeadResult: &proto.HeadResult{Body: make([]byte, 8<<20)}}}
	pushed := 0
	for o.push(frame) {
		pushed++
	}
	if pushed == 0 || pushed > maxOutboxBytes/(8<<20) || o.push(ackFrame()) {
		t.Errorf("%d frames of 8 MiB are kept", pushed)
	}
}

func TestOutboxSendsInOrderAndToTheEnd(t *testing.T) {
	ours, theirs := net.Pipe()
	o := newOutbox()
	for i := range 100 {
		m := ackFrame()
		m.Call = uint64(i)
		o.push(m)
	}
	o.close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.run(wire.New(ours))
	}()
	c := wire.New(theirs)
	for i := range 100 {
		var m proto.ToProcess
		if err := c.Receive(&m); err != nil || m.Call != uint64(i) {
			t.Fatalf("frame %d: %v, %v", i, &m, err)
		}
	}
	var m proto.ToProcess
	if err := c.Receive(&m); err == nil {
		t.Error("the connection stays open")
	}
	<-done
}
