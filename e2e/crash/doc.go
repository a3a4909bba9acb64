// Package crash kills a server with SIGKILL while it works, and looks whether
// anything that it promised is missing afterwards. All of it is tests: the
// server is this test binary, started again as a process of its own, and all
// that is known about it comes through its door, its receiver and its log.
package crash
