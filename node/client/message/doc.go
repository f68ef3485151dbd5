// Package message turns the octets of a message into what an append proposes,
// and back.
//
// [Read] passes over the octets once: it finds the MIME tree with the place of
// every part (RFC 2045, 2046; RFC 9051, 7.5.2), takes the envelope from the
// header and cuts the body into chunks that are compressed each by itself. A
// large message never exists whole in memory. Whatever the octets are, they are
// a message: mail that is broken is described as far as it can be and stored as
// it came.
//
// [Open] and [Text] go the other way, for those who show or search a message.
package message
