package wire

import "strings"

// Sort is SORT and UID SORT (RFC 5256, 3; RFC 5267, 3).
type Sort struct {
	UID     bool
	Return  *SearchReturn // nil: an old-style SORT
	Keys    []SortKey
	Charset string // upper case
	Key     SearchKey
}

// SortKey is a sort criterion: "ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT",
// "TO" (RFC 5256, 5), "DISPLAYFROM" or "DISPLAYTO" (RFC 5957, 4).
type SortKey struct {
	Name    string
	Reverse bool
}

// Thread is THREAD and UID THREAD (RFC 5256, 3).
type Thread struct {
	UID       bool
	Algorithm string // upper case, as the client names it
	Charset   string // upper case
	Key       SearchKey
}

func (Sort) command()   {}
func (Thread) command() {}

// sort parses SORT.
func (p *parser) sort(uid bool) Command {
	s := Sort{UID: uid}
	if p.word("RETURN") {
		p.sp()
		s.Return = p.searchReturn()
		p.sp()
	}
	p.list(func() {
		k := SortKey{Name: p.atom()}
		if k.Name == "REVERSE" {
			p.sp()
			k.Reverse, k.Name = true, p.atom()
		}
		switch k.Name {
		case "ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO":
		default:
			p.fail("unknown sort criterion")
		}
		if len(s.Keys) >= maxSortKeys {
			p.fail("too many sort criteria")
		}
		s.Keys = append(s.Keys, k)
	})
	p.sp()
	s.Charset, s.Key = p.charsetAndKeys()
	return s
}

// maxSortKeys bounds the criteria of one SORT.
const maxSortKeys = 20

// thread parses THREAD.
func (p *parser) thread(uid bool) Command {
	t := Thread{UID: uid, Algorithm: p.atom()}
	p.sp()
	t.Charset, t.Key = p.charsetAndKeys()
	return t
}

// charsetAndKeys parses search-criteria of RFC 5256, 5, where the charset is not
// optional.
func (p *parser) charsetAndKeys() (charset string, key SearchKey) {
	charset = strings.ToUpper(p.astring())
	p.sp()
	count := 0
	return charset, p.searchKeys(&count, false)
}
