package fsm

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// reserved are the names that jobs have anyway.
var reserved = regexp.MustCompile(`^(j|driver_)[0-9]+$`)

func (s *State) submitJob(c *SubmitJob) *Result {
	spec := c.GetSpec()
	switch {
	case spec.GetSubmissionId() == "":
		return invalid("a job needs a submission id")
	case spec.GetEntrypoint() == "" && len(spec.GetBinaries()) == 0:
		return invalid("a job needs an entrypoint")
	case reserved.MatchString(spec.SubmissionId):
		return invalid("submission id %q is of the form that gray gives to jobs itself", spec.SubmissionId)
	case protobuf.Size(spec) > maxJobSpec:
		return invalid("the job's description has %d bytes, more than %d", protobuf.Size(spec), maxJobSpec)
	}
	if _, taken := s.submissions[spec.SubmissionId]; taken {
		return exists("Job with submission_id %s already exists. Please use a different submission_id.", spec.SubmissionId)
	}
	for _, b := range spec.Binaries {
		if s.packages[b.GetPackage()] == nil {
			return invalid("the cluster has no package %s (for %s): upload it first", b.GetPackage(), b.GetPlatform())
		}
	}
	if spec.WorkingDir != "" && s.packages[spec.WorkingDir] == nil {
		return invalid("the cluster has no package %s (working_dir): upload it first", spec.WorkingDir)
	}
	id := s.newJob(&Job{Spec: spec, Status: Pending, SubmittedMs: s.now})
	if n := s.nodes[c.Node]; n != nil && n.Info.Alive {
		s.jobs[id].Node = c.Node // nobody has seen the record yet
		s.emit(Event{Kind: JobPlaced, Job: id, Node: c.Node})
	} else {
		s.emit(Event{Kind: JobWaits, Job: id})
	}
	return &Result{Id: id, Name: spec.SubmissionId}
}

func (s *State) newJob(j *Job) uint32 {
	m := s.changeMeta()
	m.LastJob++
	j.Spec = withJobID(j.Spec, m.LastJob)
	s.jobs[m.LastJob] = j
	s.submissions[j.Spec.SubmissionId] = m.LastJob
	return m.LastJob
}

func withJobID(spec *proto.JobSpec, id uint32) *proto.JobSpec {
	out := protobuf.Clone(spec).(*proto.JobSpec)
	out.Id = id
	if out.SubmissionId == "" {
		out.SubmissionId = "driver_" + strconv.Itoa(int(id))
	}
	return out
}

func (s *State) registerDriver(c *RegisterDriver) *Result {
	r := c.GetRequest()
	if id, known := s.drivers[r.GetInstance()]; known {
		return &Result{Id: id, Name: s.jobs[id].Spec.SubmissionId, Existed: true}
	}
	n := s.nodes[r.GetNode()]
	switch {
	case r.GetInstance() == "":
		return invalid("a driver needs an instance")
	case n == nil || !n.Info.Alive:
		return fail(proto.Error_NODE_DIED, "node %s isn't alive", ids.NodeID(r.GetNode()))
	}
	spec := &proto.JobSpec{Entrypoint: r.Entrypoint, Args: r.Args, Env: r.Env, Origin: r.Node}
	if size := protobuf.Size(spec); size > maxJobSpec {
		return invalid("the driver's arguments and environment have %d bytes, more than %d", size, maxJobSpec)
	}
	id := s.newJob(&Job{
		Spec: spec, Driver: true, Instance: r.Instance, Status: Running, SubmittedMs: s.now, StartedMs: s.now,
		Node: r.Node, PID: r.Pid, Process: r.Process,
	})
	s.drivers[r.Instance] = id
	return &Result{Id: id, Name: s.jobs[id].Spec.SubmissionId}
}

func (s *State) placeJob(c *PlaceJob) *Result {
	j, n := s.jobs[c.GetJob()], s.nodes[c.GetNode()]
	switch {
	case j == nil || j.Over() || j.Node != 0:
		return invalid("job %s needs no node", ids.JobID(c.GetJob()))
	case n == nil || !n.Info.Alive:
		return fail(proto.Error_NODE_DIED, "node %s isn't alive", ids.NodeID(c.GetNode()))
	}
	next := *j
	next.Node = c.Node
	s.jobs[c.Job] = &next
	s.emit(Event{Kind: JobPlaced, Job: c.Job, Node: c.Node})
	return nil
}

func (s *State) driverStarted(c *DriverStarted) *Result {
	j := s.jobs[c.GetJob()]
	switch {
	case j == nil:
		return notFound("job %s doesn't exist", ids.JobID(c.GetJob()))
	case j.Over() || j.Node != c.Node:
		s.emit(Event{Kind: JobStray, Job: c.Job, Node: c.Node})
		return nil
	}
	next := *j
	next.PID = c.Pid
	if j.Status == Pending {
		next.Status, next.StartedMs = Running, s.now
	}
	s.jobs[c.Job] = &next
	s.emit(Event{Kind: JobChanged, Job: c.Job, Node: c.Node})
	return nil
}

func (s *State) driverEnded(c *DriverEnded) *Result {
	j := s.jobs[c.GetJob()]
	if j == nil {
		return notFound("job %s doesn't exist", ids.JobID(c.GetJob()))
	}
	if j.Over() || c.Node != 0 && j.Node != c.Node {
		return nil
	}
	next := *j
	next.Message, next.HasExitCode, next.ExitCode = c.Message, c.Exited, c.ExitCode
	switch {
	case c.Stopped || j.Stopping && (!c.Exited || c.ExitCode != 0):
		next.Status = Stopped
		next.Message = "Job was intentionally stopped."
	case c.Exited && c.ExitCode == 0:
		next.Status = Succeeded
		next.Message = "Job finished successfully."
	case c.Exited:
		next.Status, next.ErrorType = Failed, api.ErrorTypeEntrypoint
	default:
		next.Status, next.ErrorType = Failed, c.ErrorType
	}
	s.endJob(&next)
	return nil
}

// endJob stores a job that has ended, and ends what it had.
func (s *State) endJob(j *Job) {
	id := j.Spec.Id
	j.EndedMs, j.ended = max(s.now, 1), s.nextEnd()
	s.jobs[id] = j
	s.endedJobs.add(id)
	s.jobBytes += protobuf.Size(j.Spec)
	s.emit(Event{Kind: JobOver, Job: id, Node: j.Node})
	for _, a := range s.actorsWhere(func(a *Actor) bool { return a.Spec.Job == id && !a.Spec.Detached }) {
		s.stopActor(a, "its job has ended")
		s.buryActor(a, &proto.Error{Kind: proto.Error_JOB_ENDED, Message: "its job has ended"})
	}
	s.endGroupsOf(id)
	s.forgetJobs()
}

// forgetJobs drops the oldest of those that ended, if there are too many. A job
// with an actor that lives on stays: the actor may need its binary again.
func (s *State) forgetJobs() {
	for range s.endedJobs.len() {
		if s.endedJobs.len() <= keepJobs && s.jobBytes <= keepJobBytes {
			return
		}
		id := s.endedJobs.pop()
		if s.actorsOf[id] > 0 {
			s.endedJobs.add(id)
			next := *s.jobs[id]
			next.ended = s.nextEnd()
			s.jobs[id] = &next
			continue
		}
		s.forgetJob(id)
	}
}

func (s *State) forgetJob(id uint32) {
	j := s.jobs[id]
	s.jobBytes -= protobuf.Size(j.Spec)
	delete(s.submissions, j.Spec.SubmissionId)
	delete(s.drivers, j.Instance)
	delete(s.jobs, id)
}

func (s *State) stopJob(c *StopJob) *Result {
	j := s.FindJob(c.GetId())
	switch {
	case j == nil:
		return notFound("Job %s does not exist", c.GetId())
	case j.Over():
		return &Result{Id: j.Spec.Id, Existed: true}
	}
	next := *j
	next.Stopping = true
	if j.Node == 0 {
		next.Status, next.Message = Stopped, "Job was intentionally stopped."
		s.endJob(&next)
		return &Result{Id: j.Spec.Id}
	}
	s.jobs[j.Spec.Id] = &next
	s.emit(Event{Kind: JobStops, Job: j.Spec.Id, Node: j.Node})
	return &Result{Id: j.Spec.Id}
}

func (s *State) deleteJob(c *DeleteJob) *Result {
	j := s.FindJob(c.GetId())
	switch {
	case j == nil:
		return notFound("Job %s does not exist", c.GetId())
	case !j.Over():
		return invalid("Job %s is %s: stop it first", c.GetId(), j.Status)
	case s.actorsOf[j.Spec.Id] > 0:
		return invalid("Job %s has detached actors that live", c.GetId())
	}
	s.endedJobs.drop(j.Spec.Id)
	s.forgetJob(j.Spec.Id)
	return nil
}

// failJobsOn ends the jobs whose drivers a dead node had.
func (s *State) failJobsOn(node uint32, cause string) {
	for _, j := range s.jobsWhere(func(j *Job) bool { return j.Node == node && !j.Over() }) {
		next := *j
		next.Status, next.ErrorType = Failed, api.ErrorTypeNodeDied
		next.Message = fmt.Sprintf("the node of its driver died: %s", cause)
		if j.Stopping {
			next.Status, next.ErrorType, next.Message = Stopped, "", "Job was intentionally stopped."
		}
		s.endJob(&next)
	}
}

// FindJob finds a job by its submission id or its number (j3); nil if there is none.
func (s *State) FindJob(name string) *Job {
	if id, ok := s.submissions[name]; ok {
		return s.jobs[id]
	}
	if text, ok := strings.CutPrefix(name, "j"); ok {
		if id, err := strconv.ParseUint(text, 10, 32); err == nil {
			return s.jobs[uint32(id)]
		}
	}
	return nil
}
