// Package checkpoint keeps tensors in files of the safetensors format, which Python opens, and whole checkpoints in
// folders of such files.
//
// A checkpoint is DIR/step-N with one file or more (shards), each with some of the tensors, and an index of which has which. It's written as
// DIR/step-N.part, synced, and renamed: a folder step-N is whole, or damaged by what isn't gray. Each file's header has CRC-32C
// sums of its tensors and of itself, in the metadata, where other readers don't mind them.
//
// Numbers are stored as they are in memory, so what is read is bitwise what was written. Files are mapped: a tensor is read when it's
// looked at. It owns the files and their mappings. It never knows what tensors are for.
package checkpoint
