package errcode

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/proto"
)

// TestEveryKindTravels: what goes in as a status comes out as it was.
func TestEveryKindTravels(t *testing.T) {
	for number := range proto.Error_Kind_name {
		e := &proto.Error{Kind: proto.Error_Kind(number), Message: "what happened", Node: 3, Signal: "killed"}
		got, ok := From(fmt.Errorf("call: %w", Status(e)))
		if !ok || !protobuf.Equal(got, e) {
			t.Errorf("%v came out as %v", e, got)
		}
		if Code(e.Kind) == codes.OK || HTTP(Code(e.Kind)) < http.StatusBadRequest {
			t.Errorf("%v is no failure", e.Kind)
		}
	}
}

func TestFromAStatusOfSomebodyElse(t *testing.T) {
	e, ok := From(status.Error(codes.Unavailable, "connection refused"))
	if !ok || e.Kind != proto.Error_UNAVAILABLE || e.Message != "connection refused" {
		t.Errorf("%v, %v", e, ok)
	}
	if e, ok := From(status.Error(codes.DataLoss, "x")); !ok || e.Kind != proto.Error_INTERNAL {
		t.Errorf("an unknown code: %v, %v", e, ok)
	}
	if _, ok := From(errors.New("local")); ok {
		t.Error("an error that is no status")
	}
}
