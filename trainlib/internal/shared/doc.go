// Package shared is memory that processes of one node have in common.
//
// A Region lies in a memory file without a name, so that nothing of it is left when its processes have
// died, however they did: it's opened by others through /proc/PID/fd while its maker holds it.
// Processes wait for each other on words in it (Word). Who may open it is who may look into the
// maker's process: the same user. It never says what is in the memory, nor whether who wrote it is alive.
package shared
