package wire

import (
	"bytes"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// What is told of a message's content is stored as a pb.Email, and printed from its
// octets: a listing of a mailbox would otherwise build, and throw away, two dozen
// objects a message. The forms are those of Envelope and BodyStructure.

// Fields of pb.Email, pb.Envelope, pb.Address and pb.BodyPart.
const (
	emailEnvelope, emailStructure = 2, 3

	envelopeDate, envelopeSubject, envelopeFrom, envelopeBcc, envelopeInReplyTo, envelopeMessageID = 1, 2, 3, 8, 9, 10

	addressName, addressMailbox, addressHost, addressRoute = 1, 2, 3, 4
)

// StoredEnvelope prints the ENVELOPE of an Email by its octets.
func (w *Writer) StoredEnvelope(email []byte) *Writer {
	envelope, only := lastOctets(email, emailEnvelope)
	if !only || !w.envelopeOctets(envelope) {
		e := &pb.Email{}
		_ = proto.Unmarshal(email, e) // what cannot be read is not there
		return w.Envelope(e.GetEnvelope())
	}
	return w
}

// StoredStructure prints the BODYSTRUCTURE of an Email by its octets, or BODY. Only
// the structure is built: it is a tree, and small beside what is in it.
func (w *Writer) StoredStructure(email []byte, extended bool) *Writer {
	var part *pb.BodyPart
	if octets, only := lastOctets(email, emailStructure); only {
		part = &pb.BodyPart{}
		_ = proto.Unmarshal(octets, part)
	} else {
		e := &pb.Email{}
		_ = proto.Unmarshal(email, e)
		part = e.GetStructure()
	}
	return w.BodyStructure(part, extended)
}

// lastOctets returns the octets of a field, and whether the message is well formed
// and has just one of it.
func lastOctets(b []byte, field protowire.Number) (octets []byte, only bool) {
	count := 0
	for len(b) > 0 {
		num, typ, value, rest := nextField(b)
		if rest == nil {
			return nil, false
		}
		if num == field && typ == protowire.BytesType {
			octets = value
			count++
		}
		b = rest
	}
	return octets, count == 1
}

// nextField takes the first field of b apart; rest is nil if it is none. Value is
// what is in a field of octets, else nil.
func nextField(b []byte) (num protowire.Number, typ protowire.Type, value, rest []byte) {
	// Nearly all fields are of octets, with a tag and a length of one octet each.
	if len(b) > 1 && b[0] >= 1<<3 && b[0] < 0x80 && protowire.Type(b[0]&7) == protowire.BytesType && b[1] < 0x80 && len(b) >= 2+int(b[1]) {
		end := 2 + int(b[1])
		return protowire.Number(b[0] >> 3), protowire.BytesType, b[2:end:end], b[end:]
	}
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return 0, 0, nil, nil
	}
	b = b[n:]
	if typ == protowire.BytesType {
		value, n = protowire.ConsumeBytes(b)
	} else {
		n = protowire.ConsumeFieldValue(num, typ, b)
	}
	if n < 0 {
		return 0, 0, nil, nil
	}
	return num, typ, value, b[n:]
}

// envelopeOctets prints an Envelope whose fields are in the order of their numbers,
// as they are stored, and nothing of another: false. That is the order in which they
// are printed.
func (w *Writer) envelopeOctets(b []byte) bool {
	// An empty address, the worst there is, is two octets and printed as 17.
	dst := w.out.ahead(12*len(b) + 256)
	if dst == nil {
		return false
	}
	var from printedAddress
	sep := byte('(')
	for at := protowire.Number(envelopeDate); at <= envelopeMessageID; at++ {
		dst = append(dst, sep)
		sep = ' '
		list, some := at >= envelopeFrom && at <= envelopeBcc, false
		for len(b) > 0 {
			num, typ, value, rest := nextField(b)
			if rest == nil || num < at || typ != protowire.BytesType {
				return false
			}
			if num > at {
				break
			}
			b = rest
			if !list {
				dst, some = w.appendOctets(dst, value), true
				break // a second one is no longer in order
			}
			if !some {
				dst, some = append(dst, '('), true
			}
			// Sender and Reply-To are most often whom it is from.
			if from.of != nil && bytes.Equal(value, from.of) {
				dst = append(dst, dst[from.start:from.end]...)
				continue
			}
			start, ok := len(dst), false
			if dst, ok = w.appendAddress(dst, value); !ok {
				return false
			}
			if from.of == nil {
				from = printedAddress{value, start, len(dst)}
			}
		}
		switch {
		case !some:
			dst = append(dst, "NIL"...)
		case list:
			dst = append(dst, ')')
		}
	}
	if len(b) > 0 {
		return false
	}
	w.out.used(append(dst, ')'))
	return true
}

// printedAddress is an address by its octets, and where it has been printed.
type printedAddress struct {
	of         []byte
	start, end int
}

// appendAddress appends an address, unless its octets cannot be read.
func (w *Writer) appendAddress(dst, address []byte) (_ []byte, ok bool) {
	var parts [addressRoute + 1][]byte
	for len(address) > 0 {
		num, typ, value, rest := nextField(address)
		if rest == nil {
			return dst, false
		}
		if num <= addressRoute && typ == protowire.BytesType {
			parts[num] = value
		}
		address = rest
	}
	dst = w.appendNString(append(dst, '('), parts[addressName])
	dst = w.appendNString(append(dst, ' '), parts[addressRoute])
	dst = w.appendNString(append(dst, ' '), parts[addressMailbox])
	return append(w.appendNString(append(dst, ' '), parts[addressHost]), ')'), true
}
