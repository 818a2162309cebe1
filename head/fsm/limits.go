package fsm

// Limits of what is kept. They are a part of the state machine: changing one
// needs a new version of the commands.
const (
	maxValue     = 1 << 20
	maxKey       = 1 << 10
	maxNamespace = 256
	maxKeyBytes  = 256 << 20 // all keys and values
	maxPayload   = 16 << 20  // an actor's constructor call
	maxSaved     = 1 << 20   // an actor's saved state
	maxJobSpec   = 1 << 20
	maxGroupSpec = 1 << 20
	maxBundles   = 10_000 // of a placement group

	keepNodes    = 1000   // dead ones
	keepJobs     = 10_000 // that ended
	keepJobBytes = 64 << 20
	keepActors   = 10_000 // dead ones
	keepGroups   = 10_000 // removed ones
	keepReplies  = 4096   // of version 1

	maxClients   = 16_384 // the longest unused go first
	maxReplies   = 4096   // of a client, that it hasn't confirmed
	keepClientMs = 60 * 60 * 1000
)
