package api

const (
	HeadsHeader = "X-Gray-Heads"
	StaleHeader = "X-Gray-Stale-Ms"
	SumTrailer = "X-Gray-Sha256"
)
