package message

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

func withoutNUL(t *testing.T, raw string) (string, error) {
	t.Helper()
	r, err := WithoutNUL(strings.NewReader(raw), int64(len(raw)))
	if err != nil {
		return "", err
	}
	out, err := io.ReadAll(iotest.HalfReader(r))
	if err != nil {
		t.Fatal(err)
	}
	return string(out), nil
}

func TestWithoutNUL_RFC3516_4_4(t *testing.T) {
	for raw, want := range map[string]string{
		"A: b\r\n\r\nno NUL\r\n":              "A: b\r\n\r\nno NUL\r\n",
		"A: =?utf-8?q?=C3=A4?=\r\n\r\na\x00b": "A: =?utf-8?q?=C3=A4?=\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nYQBi\r\n",
		"\r\n\x00":                            "MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nAA==\r\n",
		"mime-version: 1.0\r\nContent-transfer-encoding :\r\n binary\r\nContent-Type: image/png\r\n\r\n" + strings.Repeat("\x00", 60): "mime-version: 1.0\r\n" +
			"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat("A", 76) + "\r\nAAAA\r\n",
		"Content-Type: multipart/signed; boundary=a\r\n\r\n--a\r\nContent-Type: text/plain\r\n\r\nas it is\r\n--a\r\nContent-Type: image/png\r\n" +
			"Content-Transfer-Encoding: binary\r\nX: y\n\r\n\x00\x01\r\n--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: z\r\n\r\n\x00\r\n--a\r\n\r\nb\x00\r\n--a--\r\n": //
		"Content-Type: multipart/signed; boundary=a\r\n\r\n--a\r\nContent-Type: text/plain\r\n\r\nas it is\r\n--a\r\nContent-Type: image/png\r\n" +
			"X: y\nContent-Transfer-Encoding: base64\r\n\r\nAAE=\r\n--a\r\nContent-Type: message/rfc822\r\n\r\n" +
			"Subject: z\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nAA==\r\n--a\r\nContent-Transfer-Encoding: base64\r\n\r\nYgA=\r\n--a--\r\n",
	} {
		if got, err := withoutNUL(t, raw); got != want || err != nil {
			t.Errorf("%q: %q, %v, want %q", raw, got, err, want)
		}
	}
	for _, raw := range []string{
		"A: \x00\r\n\r\nb", "\x00", "Content-Transfer-Encoding: base64\r\n\r\nAA\x00==", "Content-Transfer-Encoding: x-y\r\n\r\n\x00",
		"Content-Type: multipart/mixed; boundary=a\r\n\r\n\x00\r\n--a\r\n\r\nb\r\n--a--\r\n",
		"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nb\r\n--a--\r\n\x00",
		"A: " + strings.Repeat("b", maxHeader) + "\r\n\r\n\x00",
	} {
		if got, err := withoutNUL(t, raw); !errors.Is(err, ErrNUL) {
			t.Errorf("%.80q: %.80q, %v", raw, got, err)
		}
	}
}

func TestWithoutNULFails(t *testing.T) {
	if _, err := WithoutNUL(strings.NewReader("A: b\r\n\r\n\x00"), 100); err == nil {
		t.Error("a message that is shorter than its size is no error")
	}
}

// Whatever is encoded has no NUL, and decodes to what it was.
func FuzzWithoutNUL(f *testing.F) {
	f.Add([]byte("Content-Type: multipart/mixed; boundary=a\n\n--a\n\n\x00\n--a\nContent-Transfer-Encoding: binary\n\n\x00\x00\n--a--"))
	f.Add([]byte("Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\n\x00"))
	f.Add([]byte("\n\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 10000 {
			return
		}
		r, err := WithoutNUL(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			return
		}
		out, err := io.ReadAll(r)
		if err != nil || bytes.IndexByte(out, 0) >= 0 {
			t.Fatalf("%q: %q, %v", raw, out, err)
		}
		if bytes.IndexByte(raw, 0) < 0 && !bytes.Equal(raw, out) {
			t.Fatalf("%q: %q", raw, out)
		}
		before, _ := read(t, bytes.NewReader(raw), Options{})
		after, _ := read(t, bytes.NewReader(out), Options{})
		a, b := leaves(nil, before.GetStructure(), true), leaves(nil, after.GetStructure(), true)
		if len(a) != len(b) {
			t.Fatalf("%q has %d leaves, %q has %d", raw, len(a), out, len(b))
		}
		for i := range a {
			was, is := content(raw, a[i].part), content(out, b[i].part)
			if bytes.IndexByte(was, 0) < 0 {
				continue
			}
			got, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(is)))
			if b[i].part.GetEncoding() != "BASE64" || err != nil || !bytes.Equal(got, was) {
				t.Fatalf("part %d of %q: %q, %v, was %q", i, out, got, err, was)
			}
		}
	})
}

func content(raw []byte, p *pb.BodyPart) []byte {
	return raw[p.GetBodyOffset() : p.GetBodyOffset()+p.GetSize()]
}
