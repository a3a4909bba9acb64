// Package pipeline decides about runs without doing anything: which step comes
// next and where it goes, and whether and when a try that failed is followed
// by another. The fold, dispatch and work ask it and must get the same answer.
package pipeline
