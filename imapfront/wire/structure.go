package wire

import (
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Envelope prints an ENVELOPE (RFC 9051, 7.5.2).
func (w *Writer) Envelope(e *pb.Envelope) *Writer {
	if e == nil {
		e = &pb.Envelope{}
	}
	w.text("(").NString(e.Date).text(" ").NString(e.Subject)
	for _, list := range [...][]*pb.Address{e.GetFrom(), e.GetSender(), e.GetReplyTo(), e.GetTo(), e.GetCc(), e.GetBcc()} {
		w.text(" ").addresses(list)
	}
	return w.text(" ").NString(e.InReplyTo).text(" ").NString(e.MessageId).text(")")
}

// text is Raw for one string, of which a listing has a dozen a message.
func (w *Writer) text(s string) *Writer {
	w.out.writeString(s)
	return w
}

func (w *Writer) addresses(list []*pb.Address) *Writer {
	if len(list) == 0 {
		return w.text("NIL")
	}
	w.text("(")
	for _, a := range list {
		w.text("(").NString(a.Name).text(" ").NString(a.Route).text(" ").NString(a.Mailbox).text(" ").NString(a.Host).text(")")
	}
	return w.text(")")
}

// BodyStructure prints BODYSTRUCTURE, or BODY without the extension data (RFC
// 9051, 7.5.2).
func (w *Writer) BodyStructure(p *pb.BodyPart, extended bool) *Writer {
	if p == nil {
		p = &pb.BodyPart{Type: "TEXT", Subtype: "PLAIN", Encoding: "7BIT"}
	}
	w.Raw("(")
	if p.GetType() == "MULTIPART" {
		for _, child := range p.GetParts() {
			w.BodyStructure(child, extended)
		}
		if len(p.GetParts()) == 0 {
			// The grammar has no multipart without parts: an empty text stands in.
			w.BodyStructure(nil, extended)
		}
		w.Raw(" ").String(p.GetSubtype())
		if extended {
			w.Raw(" ").params(p.GetParams())
			w.extension(p)
		}
		return w.Raw(")")
	}
	w.String(p.GetType()).Raw(" ").String(p.GetSubtype()).Raw(" ").params(p.GetParams())
	w.Raw(" ").NString(p.Id).Raw(" ").NString(p.Description).Raw(" ").String(p.GetEncoding())
	w.Raw(" ", p.GetSize())
	switch {
	case p.GetType() == "MESSAGE" && (p.GetSubtype() == "RFC822" || p.GetSubtype() == "GLOBAL"):
		var inner *pb.BodyPart // the grammar has none without a message in it either
		if len(p.GetParts()) > 0 {
			inner = p.GetParts()[0]
		}
		w.Raw(" ").Envelope(p.GetEnvelope()).Raw(" ").BodyStructure(inner, extended)
		w.Raw(" ", p.GetLines())
	case p.GetType() == "TEXT":
		w.Raw(" ", p.GetLines())
	}
	if extended {
		w.Raw(" ").NString(p.Md5)
		w.extension(p)
	}
	return w.Raw(")")
}

// extension prints disposition, language and location.
func (w *Writer) extension(p *pb.BodyPart) {
	w.Raw(" ")
	if p.Disposition == nil {
		w.Raw("NIL")
	} else {
		w.Raw("(").Octets(p.GetDisposition()).Raw(" ").params(p.GetDispositionParams()).Raw(")")
	}
	w.Raw(" ")
	switch langs := p.GetLanguage(); len(langs) {
	case 0:
		w.Raw("NIL")
	case 1:
		w.Octets(langs[0])
	default:
		w.Raw("(")
		for i, l := range langs {
			if i > 0 {
				w.Raw(" ")
			}
			w.Octets(l)
		}
		w.Raw(")")
	}
	w.Raw(" ").NString(p.Location)
}

func (w *Writer) params(params []*pb.Param) *Writer {
	if len(params) == 0 {
		return w.Raw("NIL")
	}
	w.Raw("(")
	for i, p := range params {
		if i > 0 {
			w.Raw(" ")
		}
		w.Octets(p.GetName()).Raw(" ").Octets(p.GetValue())
	}
	return w.Raw(")")
}

// SectionLabel prints what a FETCH response names a section by: as it was asked
// for, the fields as the client wrote them, and of a partial only the origin
// (RFC 9051, 7.5.2).
func (w *Writer) SectionLabel(s *Section) *Writer {
	w.Raw(s.Label)
	if s.Label != "BODY" && s.Label != "BINARY" {
		return w
	}
	w.Raw("[").partNumbers(s.Part)
	if s.Specifier != "" {
		if len(s.Part) > 0 {
			w.Raw(".")
		}
		w.Raw(s.Specifier)
	}
	if len(s.Fields) > 0 {
		w.Raw(" (")
		for i, f := range s.Fields {
			if i > 0 {
				w.Raw(" ")
			}
			w.Astring(f)
		}
		w.Raw(")")
	}
	w.Raw("]")
	if s.Partial != nil {
		w.Raw("<", s.Partial.Offset, ">")
	}
	return w
}

func (w *Writer) partNumbers(part []uint32) *Writer {
	for i, n := range part {
		if i > 0 {
			w.Raw(".")
		}
		w.Raw(n)
	}
	return w
}
