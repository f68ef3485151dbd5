package section

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/quorumail/quorumail/imapfront/wire"
)

func TestBinary_RFC3516_4_3(t *testing.T) {
	raw := multipart("a",
		"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\nAw==",
		"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nh=C3=\n=A4=0A\nx",
		"Content-Type: text/plain\r\n\r\na\nb\r\nc\rd\n\n",
		"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nYQpi",
		"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 x",
		"Content-Type: application/x-y\r\n\r\na\nb",
		"Content-Type: message/rfc822\r\n\r\nSubject: y\n\na",
		"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n*not base64 at all*")
	e := parse(t, raw)
	for n, want := range map[uint32]string{
		1: "\x00\x01\x02\x03", 2: "hä\n\r\nx", 3: "a\r\nb\r\nc\rd\r\n\r\n", 4: "a\nb", 6: "a\nb", 7: "Subject: y\n\na",
	} {
		b, ok := FindBinary(e, []uint32{n})
		if !ok {
			t.Errorf("%d: none", n)
			continue
		}
		octets := raw[b.Range.Offset : b.Range.Offset+b.Range.Length]
		for _, src := range []io.Reader{strings.NewReader(octets), iotest.OneByteReader(strings.NewReader(octets)), iotest.DataErrReader(strings.NewReader(octets))} {
			decoded, err := b.Decode(src)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(decoded); string(got) != want || err != nil {
				t.Errorf("%d: %q, %v, want %q", n, got, err, want)
			}
		}
		size, hasNUL, err := b.Measure(strings.NewReader(octets))
		if size != uint64(len(want)) || hasNUL != strings.Contains(want, "\x00") || err != nil {
			t.Errorf("%d: %d octets, NUL %v, %v", n, size, hasNUL, err)
		}
	}
	b, ok := FindBinary(e, []uint32{5})
	if _, _, err := b.Measure(strings.NewReader("begin")); !ok || !errors.Is(err, ErrUnknownCTE) {
		t.Errorf("%v, %v", b, err)
	}
	// What is wrong with an encoding is the sender's matter.
	b, _ = FindBinary(e, []uint32{8})
	if _, _, err := b.Measure(strings.NewReader("*not base64 at all*")); err != nil {
		t.Error(err)
	}
	if r, encoding, ok := Content(e, nil); !ok || encoding != "BINARY" || r.Length != uint64(len(raw)) {
		t.Errorf("%v, %s, %v", r, encoding, ok)
	}
	if b, ok := FindBinary(e, []uint32{9}); ok {
		t.Errorf("%v", b)
	}
	cause := errors.New("storage failed")
	for n := range uint32(4) {
		b, _ := FindBinary(e, []uint32{n + 1})
		if _, _, err := b.Measure(io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(cause))); !errors.Is(err, cause) {
			t.Errorf("%d: %v", n+1, err)
		}
	}
}

func TestSlice_RFC3516_4_2(t *testing.T) {
	for _, c := range []struct {
		p    *wire.Partial
		want string
	}{
		{nil, "0123456789"},
		{&wire.Partial{Offset: 0, Length: 3}, "012"},
		{&wire.Partial{Offset: 8, Length: 3}, "89"},
		{&wire.Partial{Offset: 10, Length: 3}, ""},
		{&wire.Partial{Offset: 1 << 62, Length: 1 << 62}, ""},
	} {
		r, size := Slice(iotest.HalfReader(strings.NewReader("0123456789")), 10, c.p)
		got, err := io.ReadAll(r)
		if string(got) != c.want || err != nil || size != uint64(len(c.want)) {
			t.Errorf("%v: %q of %d, %v, want %q", c.p, got, size, err, c.want)
		}
	}
	r, _ := Slice(strings.NewReader("01"), 10, &wire.Partial{Offset: 5, Length: 3})
	if got, err := io.ReadAll(r); len(got) != 0 || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
