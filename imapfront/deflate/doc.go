// Package deflate is the compression layer of a connection (RFC 4978; RFC 1951):
// a [Reader] of what a client sends and a [Writer] of what it is sent.
//
// A client that has flushed waits for an answer, so the Reader hands out
// whatever can be known from the octets that have come, and asks for more only
// when it has nothing to hand out. Readers that keep decoded octets until a block
// or a window is full stall there: zlib's Z_PARTIAL_FLUSH ends in the middle of an
// octet, after which nothing comes.
//
// Most connections are idle. Between two blocks the Reader holds the history that
// the client may refer to, as long as there is some and 32 KiB at most, and no
// tables; the Writer holds 2 KiB, where one that compresses a continuous stream
// holds some hundred.
package deflate
