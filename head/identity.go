package head

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pki"
)

const (
	certificateLife  = 30 * 24 * time.Hour
	certificateCheck = time.Hour
)

// Token returns the token that admits to the cluster; "" before it's known.
func (h *Head) Token() pki.Token {
	if _, _, token := h.identityInState(); token != "" {
		return pki.Token(token)
	}
	return pki.Token(h.saved.Token)
}

// ClusterID returns the cluster's number; 0 before it's known.
func (h *Head) ClusterID() ids.ClusterID {
	if cluster, _, _ := h.identityInState(); cluster != 0 {
		return ids.ClusterID(cluster)
	}
	n, _ := strconv.ParseUint(h.saved.Cluster, 16, 32) // as this head wrote it
	return ids.ClusterID(n)
}

func (h *Head) identityInState() (cluster uint32, authority []byte, token string) {
	h.replica.read(func(s *fsm.State) { cluster, authority, token = s.Identity() })
	return cluster, authority, token
}

// admit gives the head its authority: the data dir's, that of the cluster it
// joins, or a new one. A data dir that is older than the authority's file has it
// in the state only (adopt).
func (h *Head) admit(ctx context.Context) error {
	var err error
	if h.ca, err = h.dir.authority(); err != nil || h.ca != nil {
		return h.checkLog(err)
	}
	switch {
	case h.dir.hasLog():
		return nil
	case h.dir.info.Cluster != "":
		return h.checkLog(nil)
	case len(h.cfg.Join) > 0:
		return h.askToJoin(ctx)
	}
	if h.ca, err = pki.NewAuthority(); err != nil {
		return err
	}
	return h.dir.saveAuthority(h.ca)
}

// checkLog finds that a member's log is gone: it has promised what it doesn't know.
func (h *Head) checkLog(err error) error {
	if err == nil && !h.dir.hasLog() && h.dir.info.Cluster != "" && len(h.dir.info.Join) == 0 {
		return fmt.Errorf("%w: %s belongs to cluster %s, but its Raft log is gone: if other heads live, `gray heads remove %s` there, "+
			"empty this folder and start with --join; otherwise `gray heads restore` a backup",
			ErrBadDataDir, h.dir.path, h.dir.info.Cluster, h.dir.info.Head)
	}
	return err
}

// adopt waits to lead and takes the authority out of the state.
func (h *Head) adopt(ctx context.Context) error {
	if err := h.awaitStanding(ctx, func(leads bool, _ string) bool { return leads }); err != nil {
		return err
	}
	_, authority, _ := h.identityInState()
	var err error
	if h.ca, err = pki.ParseAuthority(authority); err != nil {
		return fmt.Errorf("the cluster's authority: %w", err)
	}
	return h.dir.saveAuthority(h.ca)
}

// found gives a new cluster its identity, if it has none yet.
func (h *Head) found() error {
	if cluster, _, _ := h.identityInState(); cluster != 0 {
		return nil
	}
	ca := h.ca
	if ca == nil {
		return fmt.Errorf("%w: %s has a Raft log without a cluster's identity", ErrBadDataDir, h.dir.path)
	}
	var number [4]byte
	rand.Read(number[:])
	cmd := h.command(&fsm.Command_Init{Init: &fsm.Init{
		Cluster: max(1, binary.LittleEndian.Uint32(number[:])), Authority: ca.Marshal(), Token: ca.NewToken().String(),
		Version: h.cfg.commands,
	}})
	cmd.Version = h.cfg.commands
	r, err := h.consensus.apply(cmd)
	if err != nil {
		return err
	}
	return resultError(r)
}

// certify gives this head a certificate, or a new one.
func (h *Head) certify() error {
	key, csr, err := pki.NewKeyAndRequest()
	if err != nil {
		return err
	}
	leaf, err := h.ca.Sign(csr, pki.RoleHead, []string{h.cfg.IP}, certificateLife)
	if err != nil {
		return fmt.Errorf("the head's certificate: %w", err)
	}
	if h.identity != nil {
		return h.identity.Replace(key, leaf)
	}
	h.identity, err = pki.NewIdentity(key, leaf, h.ca.Certificate())
	return err
}

// renewCertificate renews in the last third of a certificate's life.
func (h *Head) renewCertificate() {
	tick := time.NewTicker(certificateCheck)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-h.ctx.Done():
			return
		}
		if time.Until(h.identity.NotAfter()) > certificateLife/3 {
			continue
		}
		if err := h.certify(); err != nil {
			h.log.Error("certificate not renewed", "error", err)
		}
	}
}
