package gray

import (
	"context"
	"fmt"

	"github.com/gray-runtime/gray/sdk/internal/process"
)

// Saver is an actor whose state outlives its process and its node. After each call, or as
// SaveEvery says, and before the call's answer is sent, Save's result is kept by the
// cluster's heads, unless it's what they have: at most 1 MiB; large values belong into the
// object store. When the actor is restarted, Restore is called with what was kept last,
// after the constructor and before any call.
type Saver interface {
	Save(ctx context.Context) ([]byte, error)
	Restore(ctx context.Context, state []byte) error
}

func saveOf(actor any) func(context.Context) ([]byte, error) {
	if s, ok := actor.(Saver); ok {
		return s.Save
	}
	return nil
}

func restore(ctx context.Context, actor any, inv *process.Invocation) error {
	state, saved := inv.Saved()
	if !saved {
		return nil
	}
	s, ok := actor.(Saver)
	if !ok {
		return fmt.Errorf("%T has saved its state but can't restore it", actor)
	}
	if err := s.Restore(ctx, state); err != nil {
		return fmt.Errorf("restore the state of %T: %w", actor, err)
	}
	return nil
}

// Checkpoint keeps the state of the actor that ctx belongs to, which must be a Saver.
func Checkpoint(ctx context.Context) error {
	if err := process.Checkpoint(ctx); err != nil {
		return typed(fmt.Errorf("checkpoint: %w", err))
	}
	return nil
}

// Exit ends the actor that ctx belongs to, for good, once the calls that run have
// returned and their answers are sent. Calls that haven't begun fail with ActorDiedError.
func Exit(ctx context.Context) error {
	if err := process.ExitActor(ctx); err != nil {
		return fmt.Errorf("exit: %w", err)
	}
	return nil
}
