// Package jq compiles and runs the programs of jq steps: one value in, one out.
// A run sees nothing but what it is given, so that it answers the same at every
// try, and it ends: what it does is metered, in steps and in bytes, and stops
// with an error where that is too much. It is pure; steps call it.
package jq
