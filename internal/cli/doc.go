// Package cli is the command line: it reads flags, calls the server through
// package client, and prints. It decides nothing that the API does not.
//
// Main gives it the programs that run a server, so that it knows neither.
package cli
