// Package pki is what makes strangers into members of a cluster: its
// certificate authority, the token that admits, certificates that renew, and
// the listener that sorts connections by what they came to speak.
//
// It owns no file and no clock beyond the validity of certificates, and it
// decides nothing about who may call what: it says who is calling (PeerRole).
//
// Every certificate is an ECDSA P-256 leaf of the cluster's one authority, with
// the DNS name "gray" and its holder's role (head or node) as organizational
// unit. Addresses don't matter: members know each other by the authority.
//
// Invariants:
//  1. A token names one authority: the client that has only the token accepts no
//     server but a head certified by that authority.
//  2. Servers send leaf and authority, so that a token is enough to check them.
//  3. Connections are TLS 1.3, and only those are handed on whose protocol
//     somebody serves.
//  4. A connection that hasn't finished its handshake holds one goroutine, for 5 s
//     at most, and the oldest of them makes room for new ones.
//
// Locks: Mux.mu is the only one, and isn't held while calling out.
package pki
