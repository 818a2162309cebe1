package head

import (
	"fmt"
	"time"

	"github.com/gray-runtime/gray/internal/pki"
)

const (
	certificateLife  = 30 * 24 * time.Hour
	certificateCheck = time.Hour
)

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
