package message

import (
	"context"
	"crypto/rand"
	"fmt"

	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// maxRecordChunk is the raw size of the chunks of a content record.
const maxRecordChunk = 256 << 10

// StageEmail stages the content record of a message that is to be appended
// together with so many others that the entry would be too large. What is staged
// and not appended expires by itself.
func StageEmail(ctx context.Context, m *pb.AppendMessage, up Uploader) error {
	record, err := proto.Marshal(m.GetEmail())
	if err != nil {
		return fmt.Errorf("message: content record: %w", err)
	}
	id := make([]byte, 16)
	rand.Read(id) //nolint:errcheck // it never fails (crypto/rand)
	for at := 0; at < len(record); at += maxRecordChunk {
		part := record[at:min(at+maxRecordChunk, len(record))]
		err := up.PutChunk(ctx, id, &pb.BodyChunk{Offset: uint64(at), RawSize: uint32(len(part)), Codec: pb.Codec_CODEC_RAW, Data: part})
		if err != nil {
			return err
		}
	}
	m.Email, m.EmailUpload = nil, id
	return nil
}
