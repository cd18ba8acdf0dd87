// Package resp is the Redis serialization protocol, version 2: Parser reads clients' commands, the Append functions
// write replies.
//
// Both are pure. The parser owns no socket and never waits: it is given the bytes received so far and says whether they
// hold a whole command. It takes input from anybody, so every count and length is checked against Limits before it is
// used, nothing is allocated for bytes that were announced but have not come, and a command that comes byte by byte
// costs linear time. (An inline command is searched again for each piece, up to InlineBytesMax.)
//
// Start with Parser.Next.
package resp
