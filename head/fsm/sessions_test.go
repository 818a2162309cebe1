package fsm

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/proto"
)

// put asks as a client for something whose result tells whether it comes again.
func (m *machine) put(client string, sequence, done uint64) *Result {
	m.t.Helper()
	return m.request(&Command{Client: client, Sequence: sequence, Done: done, Body: &Command_PutKey{&PutKey{
		Namespace: client, Key: fmt.Sprint(sequence), Keep: true,
	}}})
}

func (m *machine) session(client string) *session {
	if e := m.s.sessions.byName[client]; e != nil {
		return e.Value.(*session)
	}
	return nil
}

func (m *machine) sequences(client string) []uint64 {
	var out []uint64
	for _, r := range m.session(client).replies {
		out = append(out, r.sequence)
	}
	return out
}

func TestRepeatedRequestHasItsEffectOnce(t *testing.T) {
	for version := uint32(1); version <= Version; version++ {
		m := newMachineOf(t, version)
		submit := func(client string) *Result {
			return m.request(&Command{Client: client, Sequence: 1, Body: &Command_SubmitJob{&SubmitJob{
				Spec: &proto.JobSpec{SubmissionId: "a", Entrypoint: "x"},
			}}})
		}
		first, again := submit("client"), submit("client")
		if first.Error != nil || !protobuf.Equal(first, again) || len(m.event) != 0 {
			t.Errorf("version %d: %v, then %v", version, first, again)
		}
		if submit("other").Error == nil {
			t.Errorf("version %d: another client's request was taken for the first's", version)
		}
	}
}

func TestRepliesOfVersion1AreBounded(t *testing.T) {
	m := newMachineOf(t, 1)
	for i := range keepReplies + 10 {
		m.put("c", uint64(i), 0)
	}
	if len(m.s.replies.order) != keepReplies || len(m.s.replies.results) != keepReplies {
		t.Errorf("%d replies are kept", len(m.s.replies.order))
	}
	if !m.put("c", 9, 0).Existed || m.put("c", 11, 0).Existed {
		t.Error("the oldest reply is kept, or one that isn't the oldest is gone")
	}
}

func TestClientConfirmsResults(t *testing.T) {
	m := newMachine(t)
	for _, n := range []uint64{3, 1, 2, 5} { // as they come
		if m.put("c", n, 0).Existed {
			t.Errorf("request %d is new", n)
		}
	}
	if got := m.sequences("c"); !slices.Equal(got, []uint64{1, 2, 3, 5}) {
		t.Errorf("replies %v", got)
	}
	m.put("c", 4, 3)
	if got := m.sequences("c"); !slices.Equal(got, []uint64{3, 4, 5}) {
		t.Errorf("replies %v", got)
	}
	if m.put("c", 3, 1).Existed { // a late one confirms no less
		t.Error("request 3 had its effect twice")
	}
	r := m.put("c", 2, 2)
	if r.GetError().GetKind() != proto.Error_INVALID || r.Error.Message != "request 2 of client c was answered already" || len(m.event) != 0 {
		t.Errorf("a request that was confirmed: %v", r)
	}
	if r := m.put("new", 2, 3); !strings.Contains(r.GetError().GetMessage(), "answered already") {
		t.Errorf("a request that confirms itself: %v", r)
	}
	if k := m.session("c"); k.done != 3 || k.usedMs != m.now-10 {
		t.Errorf("done %d, used at %d of %d", k.done, k.usedMs, m.now)
	}
}

func TestUnconfirmedResultsAreBounded(t *testing.T) {
	m := newMachine(t)
	for i := range uint64(maxReplies + 10) {
		m.put("c", i+1, 0)
	}
	if k := m.session("c"); len(k.replies) != maxReplies || k.done != 11 || k.replies[0].sequence != 11 {
		t.Errorf("%d replies from %d on, done %d", len(k.replies), k.replies[0].sequence, k.done)
	}
	if r := m.put("c", 10, 0); r.Error == nil {
		t.Errorf("a request whose result was dropped: %v", r)
	}
}

func TestLongestUnusedClientsGo(t *testing.T) {
	m := newMachine(t)
	for i := range maxClients {
		m.put(fmt.Sprint("c", i), 1, 0)
	}
	m.put("c0", 1, 0) // again, so c1 is now the longest unused
	m.put("one more", 1, 0)
	if len(m.s.sessions.byName) != maxClients || m.session("c0") == nil || m.session("c1") != nil || m.session("c2") == nil {
		t.Errorf("%d clients are kept", len(m.s.sessions.byName))
	}
	sessionsHoldIn(t, m)
}

func TestUnusedClientsExpire(t *testing.T) {
	m := newMachine(t)
	at := func(client string, ms int64) {
		m.request(&Command{Client: client, Sequence: 1, TimeMs: ms, Body: &Command_PutKey{&PutKey{Key: "k"}}})
	}
	at("a", 1000)
	at("b", 2000)
	at("c", 1000+keepClientMs)
	if m.session("a") == nil {
		t.Error("a client went too early")
	}
	at("c", 1001+keepClientMs)
	if m.session("a") != nil || m.session("b") == nil {
		t.Error("a is kept, or b isn't")
	}
	at("b", 3*keepClientMs) // itself late, but nobody saw it go
	if len(m.s.sessions.byName) != 1 || m.session("b") == nil {
		t.Errorf("%d clients are kept", len(m.s.sessions.byName))
	}
}

func TestRepliesBecomeSessions(t *testing.T) {
	m := newMachineOf(t, 1)
	m.put("b", 1, 0)
	m.put("a", 2, 0)
	m.put("a", 1, 0)
	raise := &Command{Client: "a", Sequence: 3, Body: &Command_RaiseVersion{&RaiseVersion{Version: 2}}}
	if r := m.request(raise); r.Error != nil || r.Existed {
		t.Fatalf("%v", r)
	}
	if all := m.s.sessions.all(); len(all) != 2 || all[0].name != "b" || all[1].name != "a" || all[0].usedMs != m.now {
		t.Errorf("sessions %+v", all)
	}
	if got := m.sequences("a"); !slices.Equal(got, []uint64{1, 2, 3}) {
		t.Errorf("replies %v", got)
	}
	if m.put("b", 1, 0).Existed || m.put("a", 2, 0).Existed || m.request(raise).Existed {
		t.Error("a request had its effect again")
	}
	sessionsHoldIn(t, m)
}

// sessionsHoldIn checks sessions, and that a restored state goes on in the same way.
func sessionsHoldIn(t *testing.T, m *machine) {
	t.Helper()
	sessionsHold(t, m.s)
	whole := snapshotOf(t, m.s)
	s, err := Restore(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	sessionsHold(t, s)
	same := func(a, b session) bool { return a.name == b.name && a.done == b.done && a.usedMs == b.usedMs }
	if !slices.EqualFunc(s.sessions.all(), m.s.sessions.all(), same) || !bytes.Equal(snapshotOf(t, s), whole) {
		t.Error("restored, the sessions differ")
	}
}

// TestClocksMayGoBack: a new leader's clock may be behind, so the longest unused
// client needn't be that of the oldest time. A restored state keeps the same.
func TestClocksMayGoBack(t *testing.T) {
	m := newMachine(t)
	for i, ms := range []int64{keepClientMs, 1, keepClientMs + keepClientMs/2} {
		m.request(&Command{Client: fmt.Sprint("c", i), Sequence: 1, TimeMs: ms, Body: &Command_PutKey{&PutKey{Key: "k"}}})
	}
	m.request(&Command{Client: "c0", Sequence: 1, TimeMs: keepClientMs / 2, Body: &Command_PutKey{&PutKey{Key: "k"}}})
	if len(m.s.sessions.byName) != 3 {
		t.Fatalf("%d clients are kept", len(m.s.sessions.byName))
	}
	sessionsHoldIn(t, m)
}

// TestSnapshotKeepsItsReplies: what comes after a snapshot doesn't show in it.
func TestSnapshotKeepsItsReplies(t *testing.T) {
	m := newMachine(t)
	for _, n := range []uint64{1, 2, 5, 6, 8} { // so that there's room for more in place
		m.put("c", n, 0)
	}
	want, taken := snapshotOf(t, m.s), m.s.Snapshot()
	for _, n := range []uint64{4, 3, 7} {
		m.put("c", n, 2)
	}
	m.put("d", 1, 0)
	var got bytes.Buffer
	if _, err := taken.WriteTo(&got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("a snapshot changed after it was taken")
	}
}
