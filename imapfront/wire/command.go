package wire

import (
	"time"

	"github.com/emersion/go-imap/v2"
)

// Command is one parsed client command. The concrete types below each carry
// the arguments of one command name; the UID forms share the type of the plain
// form, with UID set.
//
// Mailbox names are decoded (modified UTF-7 or UTF-8, as the Reader is told),
// in NFC, INBOX in upper case. They are not yet checked for anything else.
type Command interface{ command() }

// Parameterless commands.
type (
	Capability     struct{} // RFC 9051, 6.1.1
	Noop           struct{} // RFC 9051, 6.1.2
	Logout         struct{} // RFC 9051, 6.1.3
	StartTLS       struct{} // RFC 9051, 6.2.1
	Namespace      struct{} // RFC 9051, 6.3.10
	Idle           struct{} // RFC 9051, 6.3.13
	Close          struct{} // RFC 9051, 6.4.1
	Unselect       struct{} // RFC 9051, 6.4.2
	Check          struct{} // RFC 3501, 6.4.1
	Unauthenticate struct{} // RFC 8437 UNAUTHENTICATE
)

// ID is RFC 2971. Fields is nil for NIL. Keys are lower case.
type ID struct{ Fields map[string]string }

// Login is RFC 9051, 6.2.3.
type Login struct{ User, Password string }

// Authenticate is RFC 9051, 6.2.2. Initial is the initial response (RFC 4959),
// decoded; nil if there is none, empty for "=".
type Authenticate struct {
	Mechanism string // upper case
	Initial   []byte
}

// Enable is RFC 5161. Names are in upper case.
type Enable struct{ Capabilities []string }

// Compress is RFC 4978. Algorithm is in upper case.
type Compress struct{ Algorithm string }

// Select is SELECT and, with ReadOnly, EXAMINE (RFC 9051, 6.3.2 and 6.3.3).
type Select struct {
	Mailbox   string
	ReadOnly  bool
	CondStore bool // RFC 7162, 3.1.8
	QResync   *QResync
}

// QResync is the QRESYNC parameter of SELECT (RFC 7162, 3.2.5).
type QResync struct {
	UIDValidity uint32
	ModSeq      uint64
	KnownUIDs   imap.UIDSet // nil if not given
	// Sequence-match data (RFC 7162, 3.2.5.2): two sets of equal size, pairwise.
	MatchSeqs imap.SeqSet
	MatchUIDs imap.UIDSet
}

// Create is RFC 9051, 6.3.4; SpecialUse is RFC 6154's USE, e.g. `\Sent`.
type Create struct {
	Mailbox    string
	SpecialUse []string
}

// Delete is RFC 9051, 6.3.5.
type Delete struct{ Mailbox string }

// Rename is RFC 9051, 6.3.6.
type Rename struct{ From, To string }

// Subscribe is SUBSCRIBE or, with Unsubscribe, UNSUBSCRIBE (RFC 9051, 6.3.7, 6.3.8).
type Subscribe struct {
	Mailbox     string
	Unsubscribe bool
}

// List is LIST (RFC 9051, 6.3.9; RFC 5258; RFC 5819) and, with LSUB, RFC 3501's LSUB.
type List struct {
	LSUB      bool
	Reference string
	Patterns  []string
	// Extended reports that the command has selection options, several patterns
	// or return options: then an empty pattern has no special meaning.
	Extended bool
	Select   ListSelect
	Return   ListReturn
}

// ListSelect is the selection options of LIST.
type ListSelect struct {
	Subscribed, Remote, RecursiveMatch, SpecialUse bool
}

// ListReturn is the return options of LIST.
type ListReturn struct {
	Subscribed, Children, SpecialUse bool
	Status                           []StatusItem // nil: not asked for
	Metadata                         []string     // names of annotations (RFC 9590); nil: not asked for
	MyRights                         bool         // RFC 8440
}

// StatusItem is an item of STATUS, in upper case: "MESSAGES", "UIDNEXT",
// "UIDVALIDITY", "UNSEEN", "DELETED", "SIZE", "HIGHESTMODSEQ", "RECENT",
// "MAILBOXID", "APPENDLIMIT", "DELETED-STORAGE". The parser refuses others.
type StatusItem string

// Status is RFC 9051, 6.3.11.
type Status struct {
	Mailbox string
	Items   []StatusItem
}

// Append is APPEND up to and with the announcement of its first message's
// literal (RFC 9051, 6.3.12). The octets are then read from the Reader; see
// Reader.AppendMessage for the rest of the command.
type Append struct {
	Mailbox string
	First   AppendMessage
}

// Replace is REPLACE and UID REPLACE up to and with the announcement of the
// message's literal (RFC 8508, 3.2 and 3.3). It is read on like an Append, of one
// message only.
type Replace struct {
	UID     bool
	Num     uint32 // a message sequence number or a UID; 0 for "*"
	Mailbox string
	Message AppendMessage
}

// AppendMessage is what comes before each message of an APPEND.
type AppendMessage struct {
	Flags []string  // nil if not given
	Date  time.Time // zero if not given
	// Catenate: the message is put together of parts, see Reader.CatenatePart; else
	// it is a literal.
	Catenate bool
	Literal  Literal
}

// Literal announces octets that the client sends (RFC 9051, 4.3).
type Literal struct {
	Size    int64
	NonSync bool // "{n+}": the client does not wait (RFC 7888)
	Binary  bool // "~{n}": literal8 (RFC 3516)
	UTF8    bool // inside "UTF8 (~{n}…)" (RFC 6855)
}

// Expunge is EXPUNGE and, with UIDs, UID EXPUNGE (RFC 9051, 6.4.3, 6.4.9).
type Expunge struct{ UIDs *NumSet }

// Search is SEARCH and UID SEARCH (RFC 9051, 6.4.4).
type Search struct {
	UID     bool
	Charset string // upper case; empty if not given
	Return  *SearchReturn
	Key     SearchKey
}

// SearchReturn is RETURN (...); nil: an old-style SEARCH. "RETURN ()" is All.
type SearchReturn struct {
	Min, Max, All, Count, Save bool
	// Partial and All exclude each other (RFC 9394, 3.1).
	Partial PartialRange
	Update  *SearchUpdate // nil: not asked for
}

// Fetch is FETCH and UID FETCH (RFC 9051, 6.4.5; RFC 7162, 3.1.4 and 3.2.6; RFC
// 9394, 3.3).
// Macros are expanded.
type Fetch struct {
	UID          bool
	Set          NumSet
	Items        []FetchItem
	ChangedSince *uint64
	Vanished     bool
	Partial      PartialRange // RFC 9394, 3.3
}

// FetchItem is one data item of FETCH.
type FetchItem struct {
	// One of "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"
	// (structure without extension data), "BODYSTRUCTURE", "UID", "MODSEQ",
	// "SECTION" (BODY[…], RFC822, RFC822.HEADER, RFC822.TEXT), "BINARY",
	// "BINARY.SIZE", "EMAILID", "THREADID", "SAVEDATE", "PREVIEW".
	Name    string
	Section *Section // for SECTION, BINARY and BINARY.SIZE
}

// Section is BODY[section]<partial> and its kin.
type Section struct {
	// As the response names it: "BODY", "BINARY", "RFC822", "RFC822.HEADER" or
	// "RFC822.TEXT".
	Label string
	Peek  bool
	Part  []uint32 // part numbers; empty: the whole message
	// "", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT" or "MIME".
	Specifier string
	Fields    []string // as the client wrote them
	Partial   *Partial
}

// Partial is <offset.length>; Length is at least 1.
type Partial struct{ Offset, Length uint64 }

// Store is STORE and UID STORE (RFC 9051, 6.4.6; RFC 7162, 3.1.3).
type Store struct {
	UID            bool
	Set            NumSet
	Op             imap.StoreFlagsOp
	Silent         bool
	Flags          []string
	UnchangedSince *uint64
}

// Copy is COPY, MOVE and their UID forms (RFC 9051, 6.4.7 and 6.4.8).
type Copy struct {
	UID, Move bool
	Set       NumSet
	Mailbox   string
}

// NumSet is a sequence-set: of message sequence numbers or of UIDs as the
// command says, and with Saved also "$", the saved search result (RFC 5182). 0 as
// an end of a range stands for "*".
type NumSet struct {
	Saved  bool
	Ranges []NumRange
}

// NumRange is one element of a sequence-set, as written: 2:4 and 4:2 are the
// same range, and each end may be 0 for "*".
type NumRange struct{ Start, Stop uint32 }

// Recent is the flag of the messages that the session is the first to be told of
// (RFC 3501, 2.3.2). It cannot be stored.
const Recent = `\Recent`

// SearchKey is one search criterion (RFC 9051, 6.4.4). The concrete types
// follow.
type SearchKey interface{ searchKey() }

// Search criteria. Flag keys (SEEN, UNKEYWORD …) become SearchFlag, maybe
// inside SearchNot; NEW, OLD and RECENT too, of [Recent].
type (
	SearchAnd    []SearchKey
	SearchOr     struct{ A, B SearchKey }
	SearchNot    struct{ Key SearchKey }
	SearchAll    struct{}
	SearchNums   struct{ Set NumSet }
	SearchUIDs   struct{ Set NumSet }
	SearchFlag   struct{ Flag string }
	SearchHeader struct{ Name, Value string }
	SearchBody   struct{ Value string }
	SearchText   struct{ Value string }
	SearchSize   struct{ Larger, Smaller *uint64 }
	SearchDate   struct {
		Field        DateField
		From, Before *time.Time // days, UTC midnight: From <= day < Before
	}
	SearchModSeq   struct{ ModSeq uint64 }
	SearchAge      struct{ Older, Younger *uint64 } // seconds (RFC 5032)
	SearchEmailID  struct{ ID string }
	SearchThreadID struct{ ID string }
)

// DateField is the date that a SearchDate looks at.
type DateField int

// The dates of a message.
const (
	InternalDate DateField = iota // BEFORE, ON, SINCE
	SentDate                      // SENTBEFORE, SENTON, SENTSINCE
	SaveDate                      // SAVEDBEFORE, SAVEDON, SAVEDSINCE (RFC 8514)
)

func (Capability) command()     {}
func (Noop) command()           {}
func (Logout) command()         {}
func (StartTLS) command()       {}
func (Namespace) command()      {}
func (Idle) command()           {}
func (Close) command()          {}
func (Unselect) command()       {}
func (Check) command()          {}
func (Unauthenticate) command() {}
func (ID) command()             {}
func (Login) command()          {}
func (Authenticate) command()   {}
func (Enable) command()         {}
func (Select) command()         {}
func (Compress) command()       {}
func (Create) command()         {}
func (Delete) command()         {}
func (Rename) command()         {}
func (Subscribe) command()      {}
func (List) command()           {}
func (Status) command()         {}
func (Append) command()         {}
func (Replace) command()        {}
func (Expunge) command()        {}
func (Search) command()         {}
func (Fetch) command()          {}
func (Store) command()          {}
func (Copy) command()           {}

func (SearchAnd) searchKey()      {}
func (SearchOr) searchKey()       {}
func (SearchNot) searchKey()      {}
func (SearchAll) searchKey()      {}
func (SearchNums) searchKey()     {}
func (SearchUIDs) searchKey()     {}
func (SearchFlag) searchKey()     {}
func (SearchHeader) searchKey()   {}
func (SearchBody) searchKey()     {}
func (SearchText) searchKey()     {}
func (SearchSize) searchKey()     {}
func (SearchDate) searchKey()     {}
func (SearchModSeq) searchKey()   {}
func (SearchAge) searchKey()      {}
func (SearchEmailID) searchKey()  {}
func (SearchThreadID) searchKey() {}
