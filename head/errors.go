package head

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed says that the head is closing.
	ErrClosed = errors.New("the head is closing")
	// ErrNoLeader says that this head doesn't lead and knows none that does.
	ErrNoLeader = errors.New("no head leads the cluster now")
	// ErrRemoved says that this head isn't a member of its cluster any more.
	ErrRemoved = errors.New("this head was removed from its cluster: empty its data dir, and join anew with --join")
	// ErrBadDataDir says that a folder can't serve as a data dir.
	ErrBadDataDir = errors.New("unusable data dir")
	// ErrPackageName says that a name can't be that of a package.
	ErrPackageName = errors.New("not a name of a package (want letters, digits, _, . and -, at most 200, the first no . or -)")
	// ErrTooLarge says that an upload exceeds its limit.
	ErrTooLarge = errors.New("too large")
)

// InUseError says that another head runs on a data dir.
type InUseError struct {
	Dir string
	PID int // 0: unknown
}

func (e *InUseError) Error() string {
	who := "another head"
	if e.PID != 0 {
		who = fmt.Sprintf("another head (process %d)", e.PID)
	}
	return fmt.Sprintf("%s runs on data dir %s: stop it, or use another --data-dir", who, e.Dir)
}

// ListenError says that a port can't be had.
type ListenError struct {
	What    string // control, HTTP
	Address string
	Flag    string
	Err     error
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("%s port %s: %v (choose another with %s)", e.What, e.Address, e.Err, e.Flag)
}

func (e *ListenError) Unwrap() error { return e.Err }

// JoinError says why a head isn't added to a cluster.
type JoinError struct {
	Address string // of the head that was asked
	Err     error
}

func (e *JoinError) Error() string { return fmt.Sprintf("join the heads at %s: %v", e.Address, e.Err) }

func (e *JoinError) Unwrap() error { return e.Err }
