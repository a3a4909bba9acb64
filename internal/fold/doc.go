// Package fold is the pure function from state and records to new state: it
// matches events, keeps groups, makes and ends runs. It sees no clock, no
// randomness and no store; dispatch feeds it records and writes its layers.
package fold
