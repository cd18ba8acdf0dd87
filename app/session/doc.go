// Package session is exactly-once for clients that send again.
//
// A client that loses a reply cannot know whether its command was executed. It opens a session, an identifier that the log
// gives out, and numbers its commands from 1. The first command of a number that is executed counts; whoever sends that
// number again, through any replica, after any restart, is given the first result. The table of sessions is part of the
// replicated state: every replica comes to the same one, and its digest is part of each checkpoint.
//
//   - command.go: the engine commands that clients put into their requests, and what can come of them
//   - table.go: the state
//   - snapshot.go: the state as it was, while commands go on, as bytes, and back again. The order in which sessions would go
//     is part of it.
//
// # Rules
//
// A session remembers which of its numbers were executed, in a window whose floor is the least one that was not. The floor
// moves only over numbers that were executed, so a late one is never taken for executed, and no far one moves it: numbers
// from Window above the floor on are refused. Results are kept for the Window numbers below the floor, unless they are
// larger than ResultBytesMax. A number belongs to its command: another one under it is refused, so that nobody is told the
// result of something else.
//
// Sessions are bounded in number and bytes. The one that was unused for longest, by the order of the log, goes first. A
// command of a session that is gone, or never was, is not executed: it may have been before.
package session
