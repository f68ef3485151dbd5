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
		size, hasNUL, err := measure(b, strings.NewReader(octets))
		if size != uint64(len(want)) || hasNUL != strings.Contains(want, "\x00") || err != nil {
			t.Errorf("%d: %d octets, NUL %v, %v", n, size, hasNUL, err)
		}
	}
	b, ok := FindBinary(e, []uint32{5})
	if _, _, err := measure(b, strings.NewReader("begin")); !ok || !errors.Is(err, ErrUnknownCTE) {
		t.Errorf("%v, %v", b, err)
	}
	// What is wrong with an encoding is the sender's matter.
	b, _ = FindBinary(e, []uint32{8})
	if _, _, err := measure(b, strings.NewReader("*not base64 at all*")); err != nil {
		t.Error(err)
	}
	if b, ok := FindBinary(e, nil); !ok || b.Encoding != "BINARY" || b.Leaf || b.Range.Length != uint64(len(raw)) {
		t.Errorf("%+v, %v", b, ok)
	}
	for n, leaf := range map[uint32]bool{1: true, 5: true, 7: false} {
		if b, _ := FindBinary(e, []uint32{n}); b.Leaf != leaf || b.Decodable() != (n != 5) {
			t.Errorf("%d: %+v", n, b)
		}
	}
	if b, ok := FindBinary(e, []uint32{9}); ok {
		t.Errorf("%v", b)
	}
	cause := errors.New("storage failed")
	for n := range uint32(4) {
		b, _ := FindBinary(e, []uint32{n + 1})
		if _, _, err := measure(b, io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(cause))); !errors.Is(err, cause) {
			t.Errorf("%d: %v", n+1, err)
		}
	}
}

// measure decodes a content into a Meter.
func measure(b Binary, r io.Reader) (size uint64, hasNUL bool, err error) {
	decoded, err := b.Decode(r)
	if err != nil {
		return 0, false, err
	}
	m := NewMeter(nil, 0)
	_, err = io.Copy(m, decoded)
	return m.Size(), m.HasNUL(), err
}

func TestPartial_RFC3516_4_2(t *testing.T) {
	const content = "01\x0034567\x009"
	for _, c := range []struct {
		p    *wire.Partial
		want string
	}{
		{nil, content},
		{&wire.Partial{Offset: 0, Length: 2}, "01"},
		{&wire.Partial{Offset: 0, Length: 3}, "01\x00"},
		{&wire.Partial{Offset: 3, Length: 5}, "34567"},
		{&wire.Partial{Offset: 8, Length: 3}, "\x009"},
		{&wire.Partial{Offset: 10, Length: 3}, ""},
		{&wire.Partial{Offset: 1 << 62, Length: 1 << 62}, ""},
	} {
		var out strings.Builder
		m, w := NewMeter(c.p, 5), NewWindow(&out, c.p)
		for _, piece := range []string{content[:1], content[1:4], "", content[4:]} {
			_, _ = m.Write([]byte(piece))
			if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
				t.Errorf("%v: %d, %v", c.p, n, err)
			}
		}
		kept, ok := m.Kept()
		if out.String() != c.want || m.Taken() != uint64(len(c.want)) || m.Size() != 10 || m.HasNUL() != strings.Contains(c.want, "\x00") ||
			ok != (len(c.want) <= 5) || ok && string(kept) != c.want {
			t.Errorf("%v: %q; %d of %d, NUL %v, kept %q, %v", c.p, &out, m.Taken(), m.Size(), m.HasNUL(), kept, ok)
		}
	}
	cause := errors.New("gone")
	if _, err := NewWindow(failing{cause}, nil).Write([]byte("x")); !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
}
