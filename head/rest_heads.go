package head

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/proto"
)

const transferPath = "/api/heads/transfer"

// getHeads lists the members.
func (h *Head) getHeads(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	writeJSON(w, http.StatusOK, api.HeadList{Heads: h.headRows(r)})
}

func (h *Head) headRows(r *http.Request) []api.HeadRow {
	members := h.consensus.members()
	last := h.consensus.raft.LastIndex()
	infos, errs := h.survey(r.Context(), members, true)
	out := make([]api.HeadRow, 0, len(members))
	for i, m := range members {
		if errs[i] != nil {
			out = append(out, api.HeadRow{
				ID: string(m.ID), Address: string(m.Address), State: api.HeadUnreachable, Voter: m.Suffrage == raft.Voter,
				Error: status.Convert(errs[i]).Message(),
			})
			continue
		}
		row := headRow(infos[i])
		row.Voter = m.Suffrage == raft.Voter
		row.Lag = max(last, row.AppliedIndex) - row.AppliedIndex
		out = append(out, row)
	}
	return out
}

func headRow(i *proto.HeadInfo) api.HeadRow {
	return api.HeadRow{
		ID: i.Id, Address: i.Address, HTTPAddress: i.HttpAddress, State: i.State, Voter: i.Voter, Term: i.Term,
		AppliedIndex: i.Applied, LastIndex: i.Last, DiskUsed: i.DiskUsed, DiskFree: i.DiskFree, CommandVersion: i.Version,
		GrayVersion: i.GrayVersion, PID: int(i.Pid), StartTimeMs: i.StartedUnixMs,
	}
}

// deleteHead removes a member.
func (h *Head) deleteHead(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	if err := h.removeHead(r.Context(), r.PathValue("id")); err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, struct{}{})
}

// postTransfer gives the lead to another head.
func (h *Head) postTransfer(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	var req api.TransferRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		writeError(w, badRequest("the body isn't JSON: %w", err))
		return
	}
	if err := h.transfer(r.Context(), req.ID); err != nil {
		writeError(w, err)
		return
	}
	out, err := h.newLeader(r.Context(), req.ID)
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, out)
}

// newLeader waits until the head id leads or, without id, another than this.
func (h *Head) newLeader(ctx context.Context, id string) (*api.Leader, error) {
	ctx, cancel := context.WithTimeout(ctx, forwardLimit)
	defer cancel()
	var out *api.Leader
	err := h.awaitStanding(ctx, func(_ bool, leader string) bool {
		out = nil
		for _, m := range h.consensus.members() {
			if string(m.Address) == leader {
				out = &api.Leader{ID: string(m.ID), Address: leader}
			}
		}
		return out != nil && (out.ID == id || id == "" && leader != h.Address())
	})
	if err != nil {
		return nil, asStatus(err)
	}
	return out, nil
}
