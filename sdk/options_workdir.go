package gray

import (
	"fmt"

	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sdk/internal/process"
)

// WorkingDir has a task run, or an actor live, in a process whose working directory is a copy of
// the folder dir, wherever that process is. The process that submits reads dir, the first time that
// it submits with this option, and never again; what is wrong with it fails what is submitted. A relative dir is
// below its own working directory. The copy is read-only, shared by all that is started with the same contents,
// and inherited by what is submitted there; there the same WorkingDir stands for itself. A folder may have 512 MiB in
// 100,000 files, and links that lead to something inside.
func WorkingDir(dir string) Option {
	if dir == "" {
		panic(fmt.Sprintf("gray: WorkingDir at %s: no directory is named", callSite()))
	}
	w := &process.WorkingDir{Dir: dir}
	return func(o *options) { o.workingDir = w }
}

// workingDirError gives the options' working directory to the node, if that wasn't done, and says what failed.
func workingDirError(p *process.Process, opts *process.TaskOptions) *proto.Error {
	if err := p.GiveWorkingDir(opts); err != nil {
		return &proto.Error{Kind: proto.Error_INVALID, Function: opts.Name, Message: fmt.Sprintf("%s: %v", opts.Name, err)}
	}
	return nil
}
