// Package load puts load on a whole server in this process, through its doors,
// and tells what it measured. Its tests hold the server to what it promises
// under load; bench prints the same measurements as figures.
package load
