// Package declared holds what comes in at the door to the types of events that a
// project declares. It is asked for every event, so it keeps what it compiled
// until it is told that definitions were applied; a project that declares
// nothing costs a look into a map.
//
// It reads definitions and nothing else. Events that runs emit do not come
// through the door, and are not checked.
package declared
