package message

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

func TestStageEmail(t *testing.T) {
	email := &pb.Email{Size: 5, BodyId: []byte("0123456789abcdef"), Preview: string(bytes.Repeat([]byte("x"), 600<<10))}
	m := &pb.AppendMessage{Email: proto.CloneOf(email)}
	var s store
	if err := StageEmail(context.Background(), m, &s); err != nil {
		t.Fatal(err)
	}
	var record []byte
	for _, c := range s.inOrder() {
		if c.GetCodec() != pb.Codec_CODEC_RAW || c.GetRawSize() > 256<<10 || int(c.GetRawSize()) != len(c.GetData()) {
			t.Errorf("chunk of %d octets", c.GetRawSize())
		}
		record = append(record, c.GetData()...)
	}
	var got pb.Email
	if err := proto.Unmarshal(record, &got); err != nil || !proto.Equal(&got, email) || m.GetEmail() != nil || len(m.GetEmailUpload()) != 16 {
		t.Errorf("%d octets, %v", len(record), err)
	}
	cause := errors.New("full")
	if err := StageEmail(context.Background(), &pb.AppendMessage{Email: email}, refusing{cause}); !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
}

type refusing struct{ err error }

func (r refusing) PutChunk(context.Context, []byte, *pb.BodyChunk) error { return r.err }
