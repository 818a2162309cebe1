package parallel

import "fmt"

// Schedule is in which order a pipeline's stages work on a batch's micro-batches. Results are the same bits.
type Schedule string

// The schedules.
const (
	GPipe      Schedule = "gpipe" // all forward, then all back: Huang et al. 2019
	OneForward Schedule = "1f1b"  // back as soon as can be, so that at most as many are in flight as stages follow: Narayanan et al. 2019
)

// action is one thing that a stage does.
type action struct {
	micro int
	back  bool
}

// actions is what a stage does, in order.
func (s Schedule) actions(stage, stages, micros int) []action {
	ahead := micros // how many go forward before the first goes back
	if s == OneForward {
		ahead = min(micros, stages-stage)
	}
	var all []action
	for i := range micros + ahead {
		// Once the first ahead are in flight, one comes back for each that goes forward.
		if i >= ahead {
			all = append(all, action{micro: i - ahead, back: true})
		}
		if i < micros {
			all = append(all, action{micro: i})
		}
	}
	return all
}

// inFlight is how many micro-batches a stage has gone forward with and not back, at most.
func (s Schedule) inFlight(stage, stages, micros int) int {
	if s == OneForward {
		return min(micros, stages-stage)
	}
	return micros
}

func (s Schedule) check() error {
	if s != GPipe && s != OneForward {
		return fmt.Errorf("there is no schedule %q", s)
	}
	return nil
}
