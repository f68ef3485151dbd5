package wire

import (
	"strings"
	"time"
)

// maxSearchKeys bounds the keys of one search.
const maxSearchKeys = 1000

// search parses SEARCH (RFC 9051, 6.4.4; RFC 4731; RFC 5182).
func (p *parser) search(uid bool) Command {
	s := Search{UID: uid}
	if p.word("RETURN") {
		p.sp()
		s.Return = p.searchReturn()
		p.sp()
	}
	if p.word("CHARSET") {
		p.sp()
		s.Charset = strings.ToUpper(p.astring())
		p.sp()
	}
	keys := 0
	s.Key = p.searchKeys(&keys, false)
	return s
}

func (p *parser) searchReturn() *SearchReturn {
	r := &SearchReturn{}
	lists := 0
	p.list0(func() {
		switch p.atom() {
		case "MIN":
			r.Min = true
		case "MAX":
			r.Max = true
		case "ALL":
			r.All = true
			lists++
		case "PARTIAL":
			p.sp()
			r.Partial = p.partialRange()
			lists++
		case "CONTEXT":
			// A hint that the criteria will be used again (RFC 5267, 4.2), and no result:
			// without others ALL is implied.
		case "UPDATE":
			r.Update = p.searchUpdate()
		case "COUNT":
			r.Count = true
		case "SAVE":
			r.Save = true
		default:
			p.fail("unknown return option")
		}
	})
	if lists > 1 {
		p.fail("want one PARTIAL or one ALL") // RFC 9394, 3.1
	}
	if *r == (SearchReturn{}) {
		r.All = true // RFC 4731, 3.1: RETURN () is RETURN (ALL)
	}
	return r
}

// searchKeys parses keys up to the end of the line or of the parenthesis.
func (p *parser) searchKeys(count *int, inner bool) SearchKey {
	var keys SearchAnd
	for p.err == nil {
		keys = append(keys, p.searchKey(count))
		if inner && p.peek() == ')' || !inner && !p.more() {
			break
		}
		p.sp()
	}
	if len(keys) == 1 {
		return keys[0]
	}
	return keys
}

// searchKey parses one key.
func (p *parser) searchKey(count *int) SearchKey {
	*count++
	if *count > maxSearchKeys {
		p.fail("too many search keys")
	}
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		p.fail("search keys nested too deeply")
	}
	if p.err != nil {
		return nil
	}
	switch c := p.peek(); {
	case c == '(':
		p.char('(')
		k := p.searchKeys(count, true)
		p.char(')')
		return k
	case isDigit(c) || c == '*' || c == '$':
		return SearchNums{Set: p.numSet()}
	}
	name := p.atom()
	if k := simpleKey(name); k != nil {
		return k
	}
	if p.err != nil {
		return nil
	}
	switch name {
	case "NOT", "OR", "UID", "KEYWORD", "UNKEYWORD", "HEADER", "MODSEQ", "LARGER", "SMALLER", "OLDER", "YOUNGER",
		"BCC", "BODY", "CC", "FROM", "SUBJECT", "TEXT", "TO", "BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON",
		"SENTSINCE", "SAVEDBEFORE", "SAVEDON", "SAVEDSINCE", "EMAILID", "THREADID":
		p.sp()
		return p.searchArgument(name, count)
	}
	p.fail("unknown search key")
	return nil
}

// simpleKey returns the keys without arguments.
func simpleKey(name string) SearchKey {
	not := func(flag string) SearchKey { return SearchNot{SearchFlag{flag}} }
	switch name {
	case "ALL", "SAVEDATESUPPORTED":
		return SearchAll{}
	case "NEW":
		return SearchAnd{SearchFlag{Recent}, not(`\Seen`)}
	case "OLD":
		return not(Recent)
	case "RECENT", "SEEN", "ANSWERED", "FLAGGED", "DELETED", "DRAFT":
		return SearchFlag{`\` + name[:1] + strings.ToLower(name[1:])}
	case "UNSEEN", "UNANSWERED", "UNFLAGGED", "UNDELETED", "UNDRAFT":
		return not(`\` + name[2:3] + strings.ToLower(name[3:]))
	}
	return nil
}

func (p *parser) searchArgument(name string, count *int) SearchKey {
	switch name {
	case "NOT":
		return SearchNot{p.searchKey(count)}
	case "OR":
		a := p.searchKey(count)
		p.sp()
		return SearchOr{a, p.searchKey(count)}
	case "UID":
		return SearchUIDs{Set: p.numSet()}
	case "KEYWORD":
		return SearchFlag{p.keyword()}
	case "UNKEYWORD":
		return SearchNot{SearchFlag{p.keyword()}}
	case "HEADER":
		field := p.astring()
		p.sp()
		return SearchHeader{field, p.astring()}
	case "BCC", "CC", "FROM", "SUBJECT", "TO":
		return SearchHeader{name[:1] + strings.ToLower(name[1:]), p.astring()}
	case "BODY":
		return SearchBody{p.astring()}
	case "TEXT":
		return SearchText{p.astring()}
	case "LARGER":
		n := p.number64()
		return SearchSize{Larger: &n}
	case "SMALLER":
		n := p.number64()
		return SearchSize{Smaller: &n}
	case "OLDER":
		n := uint64(p.nzNumber())
		return SearchAge{Older: &n}
	case "YOUNGER":
		n := uint64(p.nzNumber())
		return SearchAge{Younger: &n}
	case "MODSEQ":
		return p.searchModSeq()
	case "EMAILID":
		return SearchEmailID{p.objectID()}
	case "THREADID":
		return SearchThreadID{p.objectID()}
	}
	return p.searchDate(name)
}

// objectID reads an objectid (RFC 8474, 7); one in quotes is forgiven.
func (p *parser) objectID() string {
	id := p.astring()
	if p.err != nil {
		return ""
	}
	ok := id != "" && len(id) <= 255
	for i := 0; i < len(id) && ok; i++ {
		c := upper(id[i])
		ok = c >= 'A' && c <= 'Z' || isDigit(c) || c == '_' || c == '-'
	}
	if !ok {
		p.fail("want an object identifier")
	}
	return id
}

// searchModSeq parses RFC 7162's search-modsequence. The entry name and type
// are only checked: one modseq covers all metadata of a message (RFC 7162, 3.1.5).
func (p *parser) searchModSeq() SearchKey {
	if p.peek() == '"' {
		name := p.quoted()
		if prefix := "/flags/"; len(name) <= len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) {
			p.fail("unknown metadata entry")
		}
		p.sp()
		switch p.atom() {
		case "PRIV", "SHARED", "ALL":
		default:
			p.fail("unknown entry type")
		}
		p.sp()
	}
	return SearchModSeq{p.modSeq()}
}

func (p *parser) searchDate(name string) SearchKey {
	k := SearchDate{Field: InternalDate}
	day := p.date()
	next := day.Add(24 * time.Hour)
	switch {
	case strings.HasPrefix(name, "SENT"):
		k.Field, name = SentDate, name[len("SENT"):]
	case strings.HasPrefix(name, "SAVED"):
		k.Field, name = SaveDate, name[len("SAVED"):]
	}
	switch name {
	case "BEFORE":
		k.Before = &day
	case "ON":
		k.From, k.Before = &day, &next
	case "SINCE":
		k.From = &day
	}
	return k
}
