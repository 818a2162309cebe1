package parallel

import "testing"

// TestSchedules runs the stages' actions over virtual time, where going forward takes 1 and back 2: none waits for
// ever, all is done once, and there's no more idle time than a pipeline has to have.
func TestSchedules(t *testing.T) {
	for _, s := range []Schedule{GPipe, OneForward} {
		for stages := 1; stages <= 6; stages++ {
			for micros := 1; micros <= 9; micros++ {
				simulate(t, s, stages, micros)
			}
		}
	}
}

func simulate(t *testing.T, s Schedule, stages, micros int) {
	t.Helper()
	type event struct {
		stage int
		action
	}
	ends := map[event]int{}
	left := make([][]action, stages)
	now := make([]int, stages)
	flying, most := make([]int, stages), make([]int, stages)
	for i := range stages {
		left[i] = s.actions(i, stages, micros)
		if len(left[i]) != 2*micros {
			t.Fatalf("%s, stage %d of %d, %d micro-batches: %d actions", s, i, stages, micros, len(left[i]))
		}
	}
	for moved := true; moved; {
		moved = false
		for i := range stages {
			for len(left[i]) > 0 {
				a := left[i][0]
				needs, have := event{i - 1, a}, i == 0
				if a.back {
					needs, have = event{i + 1, a}, i == stages-1
					if _, forward := ends[event{i, action{micro: a.micro}}]; !forward {
						t.Fatalf("%s: stage %d goes back with %d first", s, i, a.micro)
					}
				}
				at, done := ends[needs]
				if !done && !have {
					break
				}
				if _, twice := ends[event{i, a}]; twice {
					t.Fatalf("%s: stage %d does %+v twice", s, i, a)
				}
				takes := 1
				flying[i]++
				if a.back {
					takes = 2
					flying[i] -= 2
				}
				most[i] = max(most[i], flying[i])
				now[i] = max(now[i], at) + takes
				ends[event{i, a}] = now[i]
				left[i] = left[i][1:]
				moved = true
			}
		}
	}
	for i := range stages {
		if len(left[i]) > 0 {
			t.Fatalf("%s, %d stages, %d micro-batches: stage %d waits for ever", s, stages, micros, i)
		}
		if most[i] > s.inFlight(i, stages, micros) {
			t.Errorf("%s, %d stages, %d micro-batches: stage %d has %d in flight", s, stages, micros, i, most[i])
		}
	}
	if want := 3 * (micros + stages - 1); now[0] != want {
		t.Errorf("%s, %d stages, %d micro-batches take %d, not %d", s, stages, micros, now[0], want)
	}
}
