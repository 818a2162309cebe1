package api

// States of heads.
const (
	HeadLeader      = "LEADER"
	HeadFollower    = "FOLLOWER"
	HeadCandidate   = "CANDIDATE"
	HeadUnreachable = "UNREACHABLE"
)

// HeadList answers GET /api/heads.
type HeadList struct {
	Heads []HeadRow `json:"heads"`
}

// HeadRow describes a head. Of one that can't be reached only the ID, the address,
// the vote and the error are known.
type HeadRow struct {
	ID             string `json:"id"`
	Address        string `json:"address"` // control
	HTTPAddress    string `json:"http_address"`
	State          string `json:"state"`
	Voter          bool   `json:"voter"` // false while it catches up
	Term           uint64 `json:"term"`
	AppliedIndex   uint64 `json:"applied_index"`
	LastIndex      uint64 `json:"last_index"`
	Lag            uint64 `json:"lag"`       // the leader's last index less this one's applied
	DiskUsed       int64  `json:"disk_used"` // bytes of its data dir
	DiskFree       int64  `json:"disk_free"` // bytes that its file system has left
	CommandVersion uint32 `json:"command_version"`
	GrayVersion    string `json:"gray_version"`
	PID            int    `json:"pid"`
	StartTimeMs    int64  `json:"start_time_ms"`
	Error          string `json:"error"` // why it can't be reached
}

// TransferRequest is the body of POST /api/heads/transfer. No ID: the head that is
// most advanced.
type TransferRequest struct {
	ID string `json:"id"`
}

// Leader answers POST /api/heads/transfer.
type Leader struct {
	ID      string `json:"id"`
	Address string `json:"address"`
}
