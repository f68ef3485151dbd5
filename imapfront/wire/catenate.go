package wire

import "errors"

// CatPart is a piece of a message that CATENATE puts together (RFC 4469, 5; RFC
// 6855, 4): either what a URL refers to, or a literal.
type CatPart struct {
	URL     string // "" for a literal
	Literal Literal
}

// Where a CATENATE is; 0: there is none.
const (
	beforeParts = iota + 1
	catenating
	catenated
)

// errNoCatenate says that a part was to be read where none is.
var errNoCatenate = errors.New("wire: no CATENATE is being read")

// CatenatePart reads on in the CATENATE of the last AppendMessage: the next part,
// or the end of the message: then more is false, and AppendMessage goes on. What
// has not been read of the part before is discarded. A literal's octets are read
// with LiteralBody. A *SyntaxError has no tag; the command is over.
func (r *Reader) CatenatePart() (part CatPart, more bool, err error) {
	if r.catenating == 0 || r.catenating == catenated {
		return part, false, errNoCatenate
	}
	p := &parser{r: r}
	if err := p.endBody(); err != nil {
		return part, false, err
	}
	if r.catenating == catenating {
		if p.err == nil && p.try(')') {
			r.catenating = catenated
			return part, false, nil
		}
		p.sp()
	}
	r.catenating = catenating
	part = p.catPart()
	if p.err != nil {
		return CatPart{}, false, r.resync("", p.err)
	}
	return part, true, nil
}

// catPart parses cat-part, up to a literal's octets.
func (p *parser) catPart() (part CatPart) {
	switch {
	case p.word("URL"):
		p.sp()
		if part.URL = p.astring(); part.URL == "" {
			p.fail("want a URL")
		}
	case p.word("TEXT"):
		p.sp()
		part.Literal = p.announced(Literal{})
	case p.word("UTF8"):
		part.Literal = p.utf8Literal()
	default:
		p.fail("want TEXT or URL")
	}
	return part
}
