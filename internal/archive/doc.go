// Package archive makes one file of a folder and a folder of such a file: a ZIP archive, the
// same bytes for the same names, contents and execute bits, so that its SHA-256 names them.
//
// It holds regular files, folders, and symbolic links that lead to something inside. What it
// unpacks may be anybody's bytes: nothing is written outside of the folder that it's given, nor
// more than MaxBytes and MaxFiles. What it has unpacked is read-only.
package archive
