package fsm

// Version is that of the newest commands that this package knows. What a
// command does depends on the state's version, which is the same on all heads;
// a command's own version only says what a head has to know to apply it.
//
// Version 2: sessions instead of replies, and commands of dead nodes' processes
// have no effect.
//
// Version 3: placement groups, draining nodes, actors that save their state or live in another's process, and what comes with them.
const Version = 3

// Version returns that of the commands that may come. The state takes those
// before as well.
func (s *State) Version() uint32 { return s.meta.Version }

// raiseVersion lets newer commands in. It's itself of the version that it
// raises to, so that a head that doesn't know that one stops here.
func (s *State) raiseVersion(c *Command) *Result {
	version := c.GetRaiseVersion().GetVersion()
	switch {
	case version > c.Version:
		return invalid("a command of version %d can't raise the version to %d", c.Version, version)
	case version <= s.Version():
		return &Result{Existed: true}
	}
	s.setVersion(version)
	return nil
}

func (s *State) setVersion(version uint32) {
	s.changeMeta().Version = version
	if version >= 2 {
		s.sessions.adopt(s.replies, s.now)
		s.replies = newReplies()
	}
}
