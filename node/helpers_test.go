package node_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// user is a session with the commands that tests give.
type user struct {
	*client.Session
	t     testing.TB
	inbox uint64 // its id
}

func login(t testing.TB, c *client.Client, account string) *user {
	t.Helper()
	u := &user{Session: c.Session(account), t: t}
	opened, err := u.OpenMailbox(t.Context(), "INBOX", 0, nil, nil)
	if err != nil {
		t.Fatalf("%s: open INBOX: %v", account, err)
	}
	u.inbox = opened.GetInfo().GetId()
	return u
}

// message is an append of text, with its header in a chunk of its own.
func message(text string, flags ...string) *pb.AppendMessage {
	header := fmt.Sprintf("Subject: %.60s\r\n\r\n", text)
	id := make([]byte, 16)
	rand.Read(id)
	return &pb.AppendMessage{
		Flags:        flags,
		InternalDate: time.Now().Unix(),
		Email: &pb.Email{
			Size:      uint64(len(header) + len(text)),
			Envelope:  &pb.Envelope{Subject: []byte(text)},
			Structure: &pb.BodyPart{Type: "TEXT", Subtype: "PLAIN", HeaderSize: uint64(len(header)), BodyOffset: uint64(len(header)), Size: uint64(len(text))},
			BodyId:    id,
		},
		Inline: []*pb.BodyChunk{
			{RawSize: uint32(len(header)), Codec: pb.Codec_CODEC_RAW, Data: []byte(header)},
			{Offset: uint64(len(header)), RawSize: uint32(len(text)), Codec: pb.Codec_CODEC_RAW, Data: []byte(text)},
		},
	}
}

func appendEntry(msgs ...*pb.AppendMessage) *pb.Entry {
	return &pb.Entry{Op: &pb.Entry_Append{Append: &pb.AppendOp{Mailbox: "INBOX", Messages: msgs}}}
}

func (u *user) storeEntry(uids imapnum.Set, mode pb.StoreOp_Mode, flags ...string) *pb.Entry {
	return &pb.Entry{Op: &pb.Entry_Store{Store: &pb.StoreOp{
		MailboxId: u.inbox, Uids: &pb.UidSet{Packed: uids.Pack()}, Mode: mode, Flags: flags,
	}}}
}

func (u *user) expungeEntry() *pb.Entry {
	return &pb.Entry{Op: &pb.Entry_Expunge{Expunge: &pb.ExpungeOp{MailboxId: u.inbox}}}
}

// do proposes and wants OK.
func (u *user) do(e *pb.Entry) *pb.Result {
	u.t.Helper()
	res, err := u.Propose(context.Background(), e)
	if err != nil {
		u.t.Fatalf("propose: %v", err)
	}
	if res.GetCode() != pb.Code_CODE_OK {
		u.t.Fatalf("propose: %v", res)
	}
	return res
}

func (u *user) append(text string, flags ...string) imapnum.UID {
	u.t.Helper()
	return set(u.t, u.do(appendEntry(message(text, flags...))).GetUids()).Min()
}

// fetched is a message as Fetch gave it.
type fetched struct {
	msg  *pb.FetchedMessage
	body string
}

func (u *user) fetch(req *pb.FetchRequest) (map[imapnum.UID]*fetched, []string, error) {
	got := make(map[imapnum.UID]*fetched)
	var keywords []string
	var now *fetched
	req.MailboxId = u.inbox
	err := u.Fetch(context.Background(), req, func(r *pb.FetchResponse) error {
		if k := r.GetKeywords(); k != nil {
			keywords = k
		}
		if m := r.GetMessage(); m != nil {
			uid := imapnum.UID(m.GetState().GetUid())
			if got[uid] != nil {
				return fmt.Errorf("uid %d twice", uid)
			}
			now = &fetched{msg: proto.CloneOf(m)} // m is Fetch's
			got[uid] = now
		} else if c := r.GetChunk(); c != nil {
			if now == nil {
				return errors.New("chunk before any message")
			}
			now.body += string(c.GetData())
		}
		return nil
	})
	return got, keywords, err
}

func (u *user) open() (*pb.OpenedMailbox, imapnum.Set) {
	u.t.Helper()
	o, err := u.OpenMailbox(context.Background(), "inbox", 0, nil, nil)
	if err != nil {
		u.t.Fatalf("open: %v", err)
	}
	return o, set(u.t, o.GetUids())
}

func set(t testing.TB, p *pb.UidSet) imapnum.Set {
	t.Helper()
	s, err := imapnum.Unpack(p.GetPacked())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func packed(s imapnum.Set) *pb.UidSet { return &pb.UidSet{Packed: s.Pack()} }
