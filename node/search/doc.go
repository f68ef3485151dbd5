// Package search finds the messages of a mailbox that match a search key (RFC
// 9051, 6.4.4).
//
// It runs on the storage node, beside the data, so that a search which looks
// into ten thousand messages sends back UIDs and nothing else.
//
// # Order of work
//
// A key is a tree. What each leaf needs to know differs by orders of magnitude:
//
//  1. UIDs and system flags are sets: the tree is first evaluated with set
//     algebra alone, which leaves the messages that surely match, those that
//     surely do not, and the undecided.
//  2. For the undecided their records are read: keywords, dates, size, MODSEQ.
//  3. Then the content record: the sent date, the envelope.
//  4. Then the chunks of the header.
//  5. Only then, and only until the tree is decided, the texts of the body.
//
// At each step the tree has one of three truths: a message goes on to the next
// step only while its truth is not known. So SEARCH UNSEEN LARGER 100000 opens no
// body, and SEARCH SEEN TEXT x opens those of seen messages.
//
// # What is compared
//
// Transfer encodings and encoded words are decoded, charsets converted to
// UTF-8. Both sides are brought into Unicode's compatibility decomposition and
// lower case, near to i;unicode-casemap (RFC 5051), and compared as substrings.
// Texts pass through a window of bounded size: no body is ever whole in memory.
package search
