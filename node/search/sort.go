package search

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"
	"golang.org/x/text/unicode/norm"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// maxSortText bounds what is compared of a text.
const maxSortText = 1000

// maxSortKeys bounds the criteria of one sort.
const maxSortKeys = 20

// sortable is a message with what it is sorted by, in the order of the criteria.
type sortable struct {
	uid    imapnum.UID
	values []sortValue
}

// sortValue is a number or a text.
type sortValue struct {
	n    int64
	text []byte
}

func (a sortValue) compare(b sortValue) int {
	if c := cmp.Compare(a.n, b.n); c != 0 {
		return c
	}
	return bytes.Compare(a.text, b.text)
}

// Sort returns the messages of a set in the order of the criteria, and of their
// UIDs where those make no difference (RFC 5256, 3; RFC 5957). No body is opened.
func Sort(ctx context.Context, mb Mailbox, uids imapnum.Set, keys []*pb.SortKey) ([]imapnum.UID, error) {
	if len(keys) == 0 || len(keys) > maxSortKeys {
		return nil, fmt.Errorf("%w: %d sort criteria", ErrKey, len(keys))
	}
	needsEmail := false
	for _, k := range keys {
		switch k.GetField() {
		case pb.SortKey_FIELD_ARRIVAL, pb.SortKey_FIELD_SIZE:
		case pb.SortKey_FIELD_CC, pb.SortKey_FIELD_DATE, pb.SortKey_FIELD_FROM, pb.SortKey_FIELD_SUBJECT, pb.SortKey_FIELD_TO,
			pb.SortKey_FIELD_DISPLAYFROM, pb.SortKey_FIELD_DISPLAYTO:
			needsEmail = true
		default:
			return nil, fmt.Errorf("%w: unknown sort criterion", ErrKey)
		}
	}
	var list []sortable
	err := mb.Messages(uids, func(rec *pb.FetchedMessage) (bool, error) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		var e *pb.Email
		if needsEmail {
			var err error
			if e, err = mb.Email(rec.GetEmailId()); err != nil {
				return false, err
			}
		}
		s := sortable{uid: imapnum.UID(rec.GetState().GetUid()), values: make([]sortValue, len(keys))}
		for i, k := range keys {
			s.values[i] = sortValueOf(k.GetField(), rec, e)
		}
		list = append(list, s)
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("sort: %w", err)
	}
	slices.SortStableFunc(list, func(a, b sortable) int {
		for i, k := range keys {
			if c := a.values[i].compare(b.values[i]); c != 0 {
				if k.GetReverse() {
					return -c
				}
				return c
			}
		}
		return 0 // in the order of UIDs, which they came in
	})
	sorted := make([]imapnum.UID, len(list))
	for i, s := range list {
		sorted[i] = s.uid
	}
	return sorted, nil
}

func sortValueOf(field pb.SortKey_Field, rec *pb.FetchedMessage, e *pb.Email) sortValue {
	env := e.GetEnvelope()
	switch field {
	case pb.SortKey_FIELD_ARRIVAL:
		return sortValue{n: rec.GetInternalDate()}
	case pb.SortKey_FIELD_SIZE:
		return sortValue{n: int64(rec.GetSize())}
	case pb.SortKey_FIELD_DATE:
		return sortValue{n: sentDate(rec, e)}
	case pb.SortKey_FIELD_SUBJECT:
		subject, known := decodeWords(env.GetSubject())
		base, _ := baseSubject(subject)
		return sortValue{text: collate(base, known)}
	case pb.SortKey_FIELD_CC:
		return sortValue{text: addrMailbox(env.GetCc())}
	case pb.SortKey_FIELD_FROM:
		return sortValue{text: addrMailbox(env.GetFrom())}
	case pb.SortKey_FIELD_TO:
		return sortValue{text: addrMailbox(env.GetTo())}
	case pb.SortKey_FIELD_DISPLAYFROM:
		return sortValue{text: displayName(env.GetFrom())}
	}
	return sortValue{text: displayName(env.GetTo())}
}

// addrMailbox is the mailbox of the first address, without its host.
func addrMailbox(list []*pb.Address) []byte {
	if len(list) == 0 {
		return nil
	}
	return collate(string(list[0].GetMailbox()), true)
}

// displayName is the name of the first address as a client shows it: without one
// its mailbox and host (RFC 5957, 3).
func displayName(list []*pb.Address) []byte {
	if len(list) == 0 {
		return nil
	}
	a := list[0]
	if name, known := decodeWords(a.GetName()); name != "" {
		return collate(name, known)
	}
	if a.Host == nil {
		return collate(decodeWords(a.GetMailbox())) // the name of a group
	}
	return collate(string(a.GetMailbox())+"@"+string(a.GetHost()), true)
}

// decodeWords decodes encoded words (RFC 2047). It reports whether all are of known
// charsets: of another it returns the octets that it encodes.
func decodeWords(b []byte) (s string, known bool) {
	s, known = string(b), true
	if !strings.Contains(s, "=?") {
		return s, true
	}
	words := mime.WordDecoder{CharsetReader: func(name string, r io.Reader) (io.Reader, error) {
		text, err := charset.Reader(name, r)
		if err != nil {
			known = false
			return r, nil
		}
		return text, nil
	}}
	if decoded, err := words.DecodeHeader(s); err == nil {
		return decoded, known
	}
	return s, false
}

// undecoded begins the keys of texts that are no UTF-8: they stand after all that are.
const undecoded = 0xff

// collate returns the key by which a text is sorted and compared: i;unicode-casemap
// (RFC 5051, 2.3), title case and then decomposed. Texts of a charset that is not
// known, and what is not valid, come after all others, by their octets (RFC 5255, 4.6).
func collate(s string, known bool) []byte {
	known = known && utf8.ValidString(s)
	s = s[:min(len(s), maxSortText)]
	if !known {
		return append([]byte{undecoded}, s...)
	}
	s = strings.ToValidUTF8(s, "\ufffd") // where it was cut
	return norm.NFKD.AppendString(nil, strings.Map(unicode.ToTitle, s))
}

// sentDate is the time of the Date field in UTC, in seconds since 1970 (RFC 5256,
// 2.2): what is wrong with its zone or its time is taken for nothing, and if there
// is no date, INTERNALDATE stands in.
func sentDate(rec *pb.FetchedMessage, e *pb.Email) int64 {
	text := string(e.GetEnvelope().GetDate())
	day, ok := sentDay(text)
	if !ok {
		return rec.GetInternalDate()
	}
	clock, zone := clockOf(text)
	return day*secondsADay + clock - zone
}

// clockOf finds the time of day in a date, and the zone that follows it, in
// seconds.
func clockOf(text string) (clock, zone int64) {
	words := strings.Fields(uncomment(text))
	for i, word := range words {
		if !strings.Contains(word, ":") {
			continue
		}
		t, err := parseClock(word)
		if err != nil {
			return 0, 0
		}
		if i+1 < len(words) {
			zone = zoneOf(words[i+1])
		}
		return t, zone
	}
	return 0, 0
}

var errClock = errors.New("no time of day")

func parseClock(word string) (int64, error) {
	parts := strings.Split(word, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return 0, errClock
	}
	total := int64(0)
	for i, limit := range []int64{23, 59, 60} {
		n := int64(0)
		if i < len(parts) {
			p := parts[i]
			if len(p) == 0 || len(p) > 2 || strings.Trim(p, "0123456789") != "" {
				return 0, errClock
			}
			for _, c := range p {
				n = 10*n + int64(c-'0')
			}
		}
		if n > limit {
			return 0, errClock
		}
		total = total*60 + n
	}
	return total, nil
}

// zones are the names of RFC 5322, 4.3; others say nothing.
var zones = map[string]int64{"EDT": -4, "EST": -5, "CDT": -5, "CST": -6, "MDT": -6, "MST": -7, "PDT": -7, "PST": -8}

func zoneOf(word string) int64 {
	if hours, ok := zones[strings.ToUpper(word)]; ok {
		return hours * 3600
	}
	if len(word) != 5 || word[0] != '+' && word[0] != '-' || strings.Trim(word[1:], "0123456789") != "" {
		return 0
	}
	h, m := int64(word[1]-'0')*10+int64(word[2]-'0'), int64(word[3]-'0')*10+int64(word[4]-'0')
	if m > 59 {
		return 0
	}
	offset := h*3600 + m*60
	if word[0] == '-' {
		return -offset
	}
	return offset
}
