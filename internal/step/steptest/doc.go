// Package steptest is what every kind of step must do, as a suite that the
// tests of each kind run.
package steptest
