// Package folders keeps on a node the archives of working directories, and what is unpacked of
// them, by the archives' SHA-256.
//
// An archive is stored once it has the sum that names it. It's unpacked once, beside, and appears
// under its name when it's complete. What somebody holds stays; the rest goes, what was used longest
// ago first, when room is needed: all that is here has no more bytes than the limit. What a former
// node left is removed at the start.
//
// Cache.mu guards the entries; neither fetching nor unpacking happens under it.
package folders
