package daemon

import (
	"errors"
	"fmt"
)

var (
	// ErrNone says that no daemon of the kind asked for runs on this host.
	ErrNone = errors.New("no gray daemon runs on this host")
	// ErrSeveral says that an address is needed since several clusters have daemons here.
	ErrSeveral = errors.New("several gray clusters run on this host")
	// ErrNoToken says that neither GRAY_TOKEN nor a token file gives a token.
	ErrNoToken = errors.New("no token")
)

// OwnerError says that a folder belongs to another user.
type OwnerError struct {
	Path string
	UID  int
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("%s belongs to another user (uid %d)", e.Path, e.UID)
}

// StartError is what a launched process said instead of being ready.
type StartError struct {
	Role    string
	Message string
	LogFile string
}

func (e *StartError) Error() string {
	s := e.Role + ": " + e.Message
	if e.LogFile != "" {
		s += "\n(its log: " + e.LogFile + ")"
	}
	return s
}
