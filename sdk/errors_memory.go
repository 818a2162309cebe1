package gray

import "fmt"

// OutOfMemoryError says that a task's process was killed because its node was running out
// of memory, and that the task was not to be retried. Message has a table of the processes
// that used most. Such kills spend none of MaxRetries: only a task with MaxRetries(0) isn't
// run again, after pauses that grow.
type OutOfMemoryError struct {
	Function string
	Attempt  int // 0 for the first
	Death
}

func (e *OutOfMemoryError) Error() string {
	return fmt.Sprintf("%s was out of memory in attempt %d: %s", e.Function, e.Attempt, e.describe())
}
