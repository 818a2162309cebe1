package fsm

import (
	"fmt"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/proto"
)

// Body is what a command does: one of the generated Command_… types.
type Body = isCommand_Body

// Encode is the form of a command in the log. The command's version is to be
// the state's, so that all heads understand it; that of an Init or a
// RaiseVersion is the one that it sets.
func Encode(c *Command) ([]byte, error) {
	if c.Version == 0 || c.Version > Version {
		return nil, fmt.Errorf("%w: it's of version %d, this gray knows 1 to %d", ErrEncode, c.Version, Version)
	}
	b, err := protobuf.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEncode, err)
	}
	return b, nil
}

// Decode reads what Encode wrote. A command that this version doesn't know is
// an ErrCommand.
func Decode(b []byte) (*Command, error) { return DecodeUpTo(b, Version) }

// DecodeUpTo is the Decode of a gray whose newest version is the given one.
func DecodeUpTo(b []byte, newest uint32) (*Command, error) {
	c := &Command{}
	if err := protobuf.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCommand, err)
	}
	switch {
	case c.Version > newest:
		return nil, fmt.Errorf("%w: command of version %d, this gray knows up to %d: upgrade this head", ErrCommand, c.Version, newest)
	case c.Version == 0 || c.Body == nil:
		return nil, fmt.Errorf("%w: it has no version or no body", ErrCommand)
	}
	return c, nil
}

// Apply carries out a command. The result and the events aren't to be changed.
func (s *State) Apply(c *Command) (*Result, []Event) {
	s.events, s.now = nil, c.TimeMs
	if r := s.answered(c); r != nil { // what had its effect in time keeps its result
		return r, nil
	}
	if r := s.fence(c.Node); r != nil { // not remembered: it stays so
		return r, nil
	}
	r := s.dispatch(c)
	if r == nil {
		r = &Result{}
	}
	s.remember(c, r)
	events := s.events
	s.events = nil
	return r, events
}

func (s *State) dispatch(c *Command) *Result {
	if b, ok := c.Body.(*Command_Init); ok {
		return s.init(b.Init, c.Version)
	}
	if s.meta.Cluster == 0 {
		return fail(proto.Error_UNAVAILABLE, "the cluster has no identity yet")
	}
	switch b := c.Body.(type) {
	case *Command_RaiseVersion:
		return s.raiseVersion(c)
	case *Command_RegisterNode, *Command_NodeDied, *Command_DrainNode:
		return s.dispatchNode(c)
	case *Command_CreateActor, *Command_PlaceActor, *Command_ActorRefused, *Command_ActorStarted, *Command_ActorDied, *Command_KillActor,
		*Command_MoveActor, *Command_SaveActor:
		return s.dispatchActor(c)
	case *Command_CreateGroup, *Command_PlaceGroup, *Command_BundleRefused, *Command_RemoveGroup, *Command_MoveBundles:
		return s.dispatchGroup(c)
	case *Command_PutKey:
		return s.putKey(b.PutKey)
	case *Command_DeleteKey:
		return s.deleteKey(b.DeleteKey)
	case *Command_PutPackage:
		return s.putPackage(b.PutPackage)
	case *Command_DeletePackage:
		return s.deletePackage(b.DeletePackage)
	}
	return s.dispatchJob(c)
}

func (s *State) dispatchNode(c *Command) *Result {
	switch b := c.Body.(type) {
	case *Command_RegisterNode:
		return s.registerNode(b.RegisterNode)
	case *Command_NodeDied:
		return s.nodeDied(b.NodeDied)
	case *Command_DrainNode:
		return s.drainNode(b.DrainNode)
	}
	return nil
}

func (s *State) dispatchJob(c *Command) *Result {
	switch b := c.Body.(type) {
	case *Command_SubmitJob:
		return s.submitJob(b.SubmitJob)
	case *Command_RegisterDriver:
		return s.registerDriver(b.RegisterDriver)
	case *Command_PlaceJob:
		return s.placeJob(b.PlaceJob)
	case *Command_DriverStarted:
		return s.driverStarted(b.DriverStarted)
	case *Command_DriverEnded:
		return s.driverEnded(b.DriverEnded)
	case *Command_StopJob:
		return s.stopJob(b.StopJob)
	case *Command_DeleteJob:
		return s.deleteJob(b.DeleteJob)
	}
	return invalid("empty command")
}

func (s *State) dispatchActor(c *Command) *Result {
	switch b := c.Body.(type) {
	case *Command_CreateActor:
		return s.createActor(b.CreateActor)
	case *Command_PlaceActor:
		return s.placeActor(b.PlaceActor)
	case *Command_ActorRefused:
		return s.actorRefused(b.ActorRefused)
	case *Command_ActorStarted:
		return s.actorStarted(b.ActorStarted)
	case *Command_ActorDied:
		return s.actorDied(b.ActorDied)
	case *Command_KillActor:
		return s.killActor(b.KillActor)
	case *Command_MoveActor:
		return s.moveActor(b.MoveActor)
	case *Command_SaveActor:
		return s.saveActor(b.SaveActor)
	}
	return nil
}

// init gives a new cluster its identity and version. Only the first has an effect.
func (s *State) init(c *Init, newest uint32) *Result {
	switch {
	case s.meta.Cluster != 0:
		return &Result{Id: s.meta.Cluster, Existed: true}
	case c.GetCluster() == 0 || len(c.GetAuthority()) == 0 || c.GetToken() == "":
		return invalid("a cluster needs a number, an authority and a token")
	case c.Version > newest:
		return invalid("a command of version %d can't begin a cluster of version %d", newest, c.Version)
	}
	m := s.changeMeta()
	m.Cluster, m.Authority, m.Token, m.CreatedMs = c.Cluster, c.Authority, c.Token, s.now
	s.setVersion(max(1, c.Version))
	return &Result{Id: c.Cluster}
}
