// Package message turns the octets of a message into what an append proposes,
// and back.
//
// [Read] passes over the octets once. On the way it finds the MIME tree with the
// place of every part (RFC 2045, RFC 2046; RFC 9051, 7.5.2), takes the envelope
// from the header, and cuts the body into chunks that are compressed each by
// itself. Small bodies come back with the proposal, large ones are staged while
// they arrive: a message never exists whole in memory.
//
// [Open] and [Unpack] give the octets back, [Text], [Decode], [Fields] and
// [HeaderText] what they say, for those who show or search a message.
//
// # Broken mail
//
// Whatever the octets are, they are a message: stored as they came, described as
// far as they can be. What is found does not depend on how the octets came in
// pieces. A multipart without a boundary is a text; one without parts has one
// empty text, since BODYSTRUCTURE cannot say less; one that is not closed ends
// with what it is in. A line end is CRLF or LF. A line that begins with the
// boundary of any open multipart is its delimiter, the longest boundary first. A
// message in a message that is encoded (RFC 2046, 5.2.1 forbids it) and what lies
// beyond the bounds of depth, number and size are opaque, as
// application/octet-stream: then every tree can be printed in IMAP's grammar.
package message
