package proto

// RequestKey names, in the metadata of a call of Control, a value of at most 64
// bytes that is this request's own: one that comes again, because its answer got
// lost, has its effect once and gets the same answer. REST has a header for it.
const RequestKey = "gray-request"
