package search

import (
	"fmt"
	"strings"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Bounds of a key. Frontends bound what clients may ask for; these keep a node
// safe from a frontend.
const (
	maxDepth = 100
	maxNodes = 5000
	maxText  = 64 << 10 // octets of all strings together
)

// op is what a node of the tree does.
type op uint8

const (
	opAnd op = iota
	opOr
	opNot
	opSet    // the UIDs of set
	opFlag   // the messages with a system flag: bounds makes a set of it
	opRecord // record says
	opEmail  // email says
	opHeader // a header field has needle
	opBody   // the texts of the body have needle
	opText   // as opBody, or any header has it
)

// node is a compiled key.
type node struct {
	op     op
	kids   []*node
	set    imapnum.Set
	flag   imapnum.SystemFlags
	record func(*pb.FetchedMessage) bool
	email  func(*pb.Email) bool
	field  string // of opHeader: lower case
	needle []byte // folded
	hit    bool   // of opBody and opText: found in the message that is looked at
}

func all() *node  { return &node{op: opAnd} }
func none() *node { return &node{op: opOr} }

func (q *query) compile(key *pb.SearchKey, depth int) (*node, error) {
	if q.nodes++; q.nodes > maxNodes || depth > maxDepth {
		return nil, fmt.Errorf("search: %w: too large", ErrKey)
	}
	switch k := key.GetKey().(type) {
	case *pb.SearchKey_And:
		return q.list(opAnd, k.And, depth)
	case *pb.SearchKey_Or:
		return q.list(opOr, k.Or, depth)
	case *pb.SearchKey_Not:
		kid, err := q.compile(k.Not, depth+1)
		return &node{op: opNot, kids: []*node{kid}}, err
	case *pb.SearchKey_All:
		if !k.All {
			return none(), nil
		}
		return all(), nil
	case *pb.SearchKey_Uids:
		set, err := imapnum.Unpack(k.Uids.GetPacked())
		if err != nil {
			return nil, fmt.Errorf("search: %w: %w", ErrKey, err)
		}
		return &node{op: opSet, set: set}, nil
	case *pb.SearchKey_Flag:
		return q.flag(k.Flag), nil
	case *pb.SearchKey_Header:
		needle, err := q.needle(k.Header.GetValue())
		return &node{op: opHeader, field: strings.ToLower(k.Header.GetName()), needle: needle}, err
	case *pb.SearchKey_Body:
		needle, err := q.needle(k.Body)
		return &node{op: opBody, needle: needle}, err
	case *pb.SearchKey_Text:
		needle, err := q.needle(k.Text)
		return &node{op: opText, needle: needle}, err
	case *pb.SearchKey_SentDate:
		return &node{op: opEmail, email: sentWithin(k.SentDate)}, nil
	case *pb.SearchKey_ModSeq:
		q.wantModSeq = true
	case nil:
		return nil, fmt.Errorf("search: %w: empty", ErrKey)
	}
	if record := q.recordKey(key); record != nil {
		return &node{op: opRecord, record: record}, nil
	}
	return nil, fmt.Errorf("search: %w: %T is not known here", ErrKey, key.GetKey())
}

func (q *query) list(o op, list *pb.SearchKeyList, depth int) (*node, error) {
	n := &node{op: o}
	for _, key := range list.GetKeys() {
		kid, err := q.compile(key, depth+1)
		if err != nil {
			return nil, err
		}
		n.kids = append(n.kids, kid)
	}
	return n, nil
}

// needle folds a string that is looked for.
func (q *query) needle(s string) ([]byte, error) {
	if q.text += len(s); q.text > maxText {
		return nil, fmt.Errorf("search: %w: strings too long", ErrKey)
	}
	needle := fold(nil, s)
	q.longest = max(q.longest, len(needle))
	return needle, nil
}

// flag is a key for a system flag or a keyword. A keyword that the mailbox does
// not have is a valid question with an empty answer.
func (q *query) flag(name string) *node {
	if f, ok := imapnum.ParseSystemFlag(name); ok {
		return &node{op: opFlag, flag: f}
	}
	for i, keyword := range q.mb.Info().GetKeywords() {
		if !strings.EqualFold(keyword, name) {
			continue
		}
		return &node{op: opRecord, record: func(rec *pb.FetchedMessage) bool {
			for _, k := range rec.GetState().GetKeywords() {
				if k == uint32(i) {
					return true
				}
			}
			return false
		}}
	}
	return none()
}

// recordKey returns the test of a key that a message's record decides; nil if
// the key is not such a one.
func (q *query) recordKey(key *pb.SearchKey) func(*pb.FetchedMessage) bool {
	switch k := key.GetKey().(type) {
	case *pb.SearchKey_Larger:
		return func(rec *pb.FetchedMessage) bool { return rec.GetSize() > k.Larger }
	case *pb.SearchKey_Smaller:
		return func(rec *pb.FetchedMessage) bool { return rec.GetSize() < k.Smaller }
	case *pb.SearchKey_InternalDate:
		return func(rec *pb.FetchedMessage) bool {
			return within(k.InternalDate, dayOf(rec.GetInternalDate()+60*int64(rec.GetZoneMinutes())))
		}
	case *pb.SearchKey_SaveDate:
		// RFC 8514, 4.2 gives a message no zone for it: UTC.
		return func(rec *pb.FetchedMessage) bool { return within(k.SaveDate, dayOf(rec.GetSaveDate())) }
	case *pb.SearchKey_ModSeq:
		return func(rec *pb.FetchedMessage) bool { return rec.GetState().GetModSeq() >= k.ModSeq }
	case *pb.SearchKey_OlderSeconds:
		return func(rec *pb.FetchedMessage) bool { return q.age(rec) >= 0 && uint64(q.age(rec)) >= k.OlderSeconds }
	case *pb.SearchKey_YoungerSeconds:
		return func(rec *pb.FetchedMessage) bool { return q.age(rec) < 0 || uint64(q.age(rec)) <= k.YoungerSeconds }
	case *pb.SearchKey_EmailId:
		return func(rec *pb.FetchedMessage) bool { return rec.GetEmailId() == k.EmailId }
	case *pb.SearchKey_ThreadId:
		// 0 is no thread, of which there may be many.
		return func(rec *pb.FetchedMessage) bool { return k.ThreadId != 0 && rec.GetThreadId() == k.ThreadId }
	}
	return nil
}

// age is in seconds; negative for a message from the future.
func (q *query) age(rec *pb.FetchedMessage) int64 { return q.now.Unix() - rec.GetInternalDate() }
