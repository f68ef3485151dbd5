package service_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/node/nodetest"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

const account = "alice@example.org"

// bench is a node with an account, reached by the library and bare.
type bench struct {
	t     *testing.T
	c     *nodetest.Cluster
	s     *client.Session
	store pb.StoreServiceClient
	admin pb.AdminServiceClient
	route *pb.Route
	inbox uint64
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, c: nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 2})}
	b.c.CreateAccount(t, account, "secret")
	b.s = b.c.Client(t).Session(account)
	cc, err := grpc.NewClient("passthrough:///"+b.c.Addrs()[0], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	b.store, b.admin = pb.NewStoreServiceClient(cc), pb.NewAdminServiceClient(cc)
	m := b.c.Node("n1").Map()
	b.route = &pb.Route{Account: account, Epoch: m.GetEpoch()}
	for _, sh := range m.GetShards() {
		for _, r := range sh.GetSlots() {
			if slot := uint32(imapnum.SlotOf(account)); r.GetFirst() <= slot && slot <= r.GetLast() {
				b.route.Shard = sh.GetId()
			}
		}
	}
	b.inbox = b.open().GetInfo().GetId()
	return b
}

func (b *bench) open() *pb.OpenedMailbox {
	b.t.Helper()
	o, err := b.s.OpenMailbox(b.t.Context(), "INBOX", 0, nil, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return o
}

func (b *bench) do(e *pb.Entry) *pb.Result {
	b.t.Helper()
	res, err := b.s.Propose(b.t.Context(), e)
	if err != nil || res.GetCode() != pb.Code_CODE_OK {
		b.t.Fatalf("propose: %v, %v", res, err)
	}
	return res
}

// fill appends n messages of a few octets.
func (b *bench) fill(n int, flags ...string) {
	b.t.Helper()
	for n > 0 {
		var msgs []*pb.AppendMessage
		for range min(n, 500) {
			msgs = append(msgs, &pb.AppendMessage{
				Flags:  flags,
				Email:  &pb.Email{Size: 2, BodyId: random(16), Structure: &pb.BodyPart{HeaderSize: 2}, Envelope: &pb.Envelope{Subject: []byte("s")}},
				Inline: []*pb.BodyChunk{{RawSize: 2, Codec: pb.Codec_CODEC_RAW, Data: []byte("\r\n")}},
			})
		}
		b.do(&pb.Entry{Op: &pb.Entry_Append{Append: &pb.AppendOp{Mailbox: "INBOX", Messages: msgs}}})
		n -= len(msgs)
	}
}

func (b *bench) flag(uids imapnum.Set, flag string) {
	b.t.Helper()
	b.do(&pb.Entry{Op: &pb.Entry_Store{Store: &pb.StoreOp{
		MailboxId: b.inbox, Uids: pack(uids), Mode: pb.StoreOp_MODE_ADD, Flags: []string{flag},
	}}})
}

func (b *bench) expunge() {
	b.t.Helper()
	b.do(&pb.Entry{Op: &pb.Entry_Expunge{Expunge: &pb.ExpungeOp{MailboxId: b.inbox}}})
}

func random(n int) []byte {
	p := make([]byte, n)
	rand.Read(p)
	return p
}

func pack(s imapnum.Set) *pb.UidSet { return &pb.UidSet{Packed: s.Pack()} }

func kindOf(err error) pb.ErrorDetail_Kind {
	for _, d := range status.Convert(err).Details() {
		if d, ok := d.(*pb.ErrorDetail); ok {
			return d.GetKind()
		}
	}
	return -1
}

// Bodies larger than what is read ahead come whole, and ranges of them too.
func TestFetchLargeBody(t *testing.T) {
	b := newBench(t)
	const size, chunk = 5<<20 + 123, 256 << 10
	body := random(size)
	id := random(16)
	for at := 0; at < size; at += chunk {
		data := body[at:min(at+chunk, size)]
		if err := b.s.PutChunk(t.Context(), id, &pb.BodyChunk{
			Offset: uint64(at), RawSize: uint32(len(data)), Codec: pb.Codec_CODEC_RAW, Data: data,
		}); err != nil {
			t.Fatal(err)
		}
	}
	b.fill(1)
	b.do(&pb.Entry{Op: &pb.Entry_Append{Append: &pb.AppendOp{Mailbox: "INBOX", Messages: []*pb.AppendMessage{{
		Email: &pb.Email{Size: size, BodyId: id, Structure: &pb.BodyPart{HeaderSize: chunk}},
	}}}}})
	b.fill(1)
	for name, c := range map[string]struct {
		req        *pb.FetchRequest
		first, end int
	}{
		"all":    {&pb.FetchRequest{Body: pb.FetchRequest_BODY_ALL}, 0, size},
		"header": {&pb.FetchRequest{Body: pb.FetchRequest_BODY_HEADER}, 0, chunk},
		"middle": {&pb.FetchRequest{Body: pb.FetchRequest_BODY_RANGE, Offset: chunk + 5, Length: 3 << 20}, chunk, chunk + 13*chunk},
		"end":    {&pb.FetchRequest{Body: pb.FetchRequest_BODY_RANGE, Offset: size - 1, Length: 1<<64 - 1}, 20 * chunk, size},
		"beyond": {&pb.FetchRequest{Body: pb.FetchRequest_BODY_RANGE, Offset: size, Length: 1}, 0, 0},
		"none":   {&pb.FetchRequest{Body: pb.FetchRequest_BODY_RANGE, Offset: 1, Length: 0}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c.req.MailboxId, c.req.Uids = b.inbox, pack(imapnum.SetOfRange(1, 3))
			got := make(map[uint32][]byte)
			announced := make(map[uint32]uint32)
			var now uint32
			err := b.s.Fetch(t.Context(), c.req, func(r *pb.FetchResponse) error {
				if m := r.GetMessage(); m != nil {
					if announced[now] != 0 {
						return fmt.Errorf("uid %d lacks %d chunks", now, announced[now])
					}
					now = m.GetState().GetUid()
					announced[now] = m.GetChunks()
					got[now] = nil
					return nil
				}
				announced[now]--
				got[now] = append(got[now], r.GetChunk().GetData()...)
				return nil
			})
			if err != nil || len(got) != 3 || announced[now] != 0 {
				t.Fatalf("%d messages, %v; %d chunks are missing", len(got), err, announced[now])
			}
			if string(got[2]) != string(body[c.first:c.end]) {
				t.Errorf("got %d octets, want %d to %d", len(got[2]), c.first, c.end)
			}
		})
	}
}

// More messages than a batch has, some of them expunged: all in order, once.
func TestFetchManyWithExpunged(t *testing.T) {
	b := newBench(t)
	const n = 2400
	b.fill(n, "$a")
	var every3rd []imapnum.UID
	for uid := imapnum.UID(3); uid <= n; uid += 3 {
		every3rd = append(every3rd, uid)
	}
	gone := imapnum.SetOf(every3rd...)
	b.flag(gone, `\Deleted`)
	b.expunge()
	for _, expunged := range []bool{false, true} {
		var last uint32
		seen, marked := 0, 0
		err := b.s.Fetch(t.Context(), &pb.FetchRequest{
			MailboxId: b.inbox, Uids: pack(imapnum.SetOfRange(1, 1<<32-1)), IncludeExpunged: expunged, Structure: true,
		}, func(r *pb.FetchResponse) error {
			m := r.GetMessage()
			uid := m.GetState().GetUid()
			if uid <= last || m.GetExpunged() != gone.Contains(imapnum.UID(uid)) || m.GetEmail().GetStructure() == nil {
				return fmt.Errorf("after %d: %v", last, m)
			}
			last = uid
			seen++
			if m.GetExpunged() {
				marked++
			}
			return nil
		})
		want := n
		if !expunged {
			want -= len(every3rd)
		}
		if err != nil || seen != want || (marked == len(every3rd)) != expunged {
			t.Errorf("expunged %v: %d messages, %d of them expunged, %v", expunged, seen, marked, err)
		}
	}
}

func TestChangesComeInBatches_RFC7162_3_2_5(t *testing.T) {
	b := newBench(t)
	b.fill(2500)
	before := b.open().GetInfo().GetHighestModSeq()
	b.flag(imapnum.SetOfRange(1, 2200), `\Seen`)
	b.flag(imapnum.SetOfRange(2401, 2500), `\Deleted`)
	b.expunge()
	known := imapnum.SetOfRange(100, 2450)
	for name, c := range map[string]struct {
		since             *pb.Since
		changed, vanished uint64
	}{
		"all":         {&pb.Since{ModSeq: before}, 2200, 100},
		"known":       {&pb.Since{ModSeq: before, Known: pack(known)}, 2101, 50},
		"no vanished": {&pb.Since{ModSeq: before, NoVanished: true}, 2200, 0},
		"no changed":  {&pb.Since{ModSeq: before, NoChanged: true}, 0, 100},
		"future":      {&pb.Since{ModSeq: 1<<64 - 1}, 0, 0},
	} {
		info, batches, err := b.s.Changes(t.Context(), b.inbox, c.since, true)
		if err != nil || info.GetId() != b.inbox {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		var changed, vanished uint64
		for _, batch := range batches {
			if len(batch.GetChanged()) > 1000 {
				t.Errorf("%s: batch of %d", name, len(batch.GetChanged()))
			}
			changed += uint64(len(batch.GetChanged()))
			set, err := imapnum.Unpack(batch.GetVanished().GetPacked())
			if err != nil {
				t.Error(err)
			}
			vanished += set.Len()
		}
		if changed != c.changed || vanished != c.vanished {
			t.Errorf("%s: %d changed, %d vanished, want %d, %d", name, changed, vanished, c.changed, c.vanished)
		}
	}
}

// Requests that no client of ours sends.
func TestBadRequestsAreRefused(t *testing.T) {
	b := newBench(t)
	elsewhere := &pb.Route{Account: account, Shard: 3 - b.route.GetShard(), Epoch: 1}
	fetch := func(req *pb.FetchRequest) error {
		if req.Route == nil {
			req.Route = b.route
		}
		stream, err := b.store.Fetch(t.Context(), req)
		if err != nil {
			return err
		}
		_, err = stream.Recv()
		return err
	}
	open := func(req *pb.OpenMailboxRequest) error {
		req.Route = b.route
		stream, err := b.store.OpenMailbox(t.Context(), req)
		if err != nil {
			return err
		}
		_, err = stream.Recv()
		return err
	}
	propose := func(shard uint32, entry []byte) error {
		return b.propose(&pb.Proposal{Shard: shard, Epoch: b.route.GetEpoch(), Entry: entry})
	}
	encoded := func(e *pb.Entry) []byte {
		data, err := proto.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	get := func(r *pb.Route, l *pb.ReadLevel) error {
		_, err := b.store.GetAccount(t.Context(), &pb.GetAccountRequest{Route: r, Level: l})
		return err
	}
	noop := &pb.Entry_Expunge{Expunge: &pb.ExpungeOp{}}
	for name, c := range map[string]struct {
		err  error
		want pb.ErrorDetail_Kind
	}{
		"no route":           {get(nil, nil), pb.ErrorDetail_KIND_INVALID},
		"account not normal": {get(&pb.Route{Account: "ALICE"}, nil), pb.ErrorDetail_KIND_INVALID},
		"account of garbage": {get(&pb.Route{Account: "a/\x00"}, nil), pb.ErrorDetail_KIND_INVALID},
		"other shard":        {get(elsewhere, nil), pb.ErrorDetail_KIND_WRONG_SHARD},
		"no such shard":      {get(&pb.Route{Account: account, Shard: 99, Epoch: 1}, nil), pb.ErrorDetail_KIND_WRONG_SHARD},
		"epoch to come":      {get(&pb.Route{Account: account, Shard: 99, Epoch: 99}, nil), pb.ErrorDetail_KIND_NOT_READY},
		"no account":         {get(routeOf(b, "nobody"), nil), pb.ErrorDetail_KIND_NO_ACCOUNT},
		"index to come":      {get(b.route, &pb.ReadLevel{MinIndex: 1 << 40}), pb.ErrorDetail_KIND_NOT_READY},
		"empty propose":      {propose(b.route.GetShard(), nil), pb.ErrorDetail_KIND_INVALID},
		"malformed entry":    {propose(b.route.GetShard(), []byte("\xff")), pb.ErrorDetail_KIND_INVALID},
		"malformed text":     {propose(b.route.GetShard(), append(encoded(&pb.Entry{Op: noop}), "\x12\x01\xff"...)), pb.ErrorDetail_KIND_INVALID},
		"no operation":       {propose(b.route.GetShard(), encoded(&pb.Entry{Account: account})), pb.ErrorDetail_KIND_INVALID},
		"no account named":   {propose(b.route.GetShard(), encoded(&pb.Entry{Op: noop})), pb.ErrorDetail_KIND_INVALID},
		"propose elsewhere":  {propose(elsewhere.GetShard(), encoded(&pb.Entry{Account: account, Op: noop})), pb.ErrorDetail_KIND_WRONG_SHARD},
		"propose too much":   {propose(b.route.GetShard(), encoded(&pb.Entry{Account: account, Op: noop, Request: &pb.RequestId{Session: make([]byte, 5<<20)}})), pb.ErrorDetail_KIND_INVALID},
		"set that is none":   {fetch(&pb.FetchRequest{MailboxId: b.inbox, Uids: &pb.UidSet{Packed: []uint32{0, 1, 2}}}), pb.ErrorDetail_KIND_INVALID},
		"unknown body":       {fetch(&pb.FetchRequest{MailboxId: b.inbox, Body: 77}), pb.ErrorDetail_KIND_INVALID},
		"no mailbox":         {fetch(&pb.FetchRequest{MailboxId: 1 << 60, Uids: pack(imapnum.SetOf(1))}), pb.ErrorDetail_KIND_NO_MAILBOX},
		"open nothing":       {open(&pb.OpenMailboxRequest{}), pb.ErrorDetail_KIND_NO_MAILBOX},
		"name of garbage":    {open(&pb.OpenMailboxRequest{Name: "a\u0000b"}), pb.ErrorDetail_KIND_NO_MAILBOX},
		"known is none":      {open(&pb.OpenMailboxRequest{Name: "INBOX", Since: &pb.Since{Known: &pb.UidSet{Packed: []uint32{1}}}}), pb.ErrorDetail_KIND_INVALID},
	} {
		if got := kindOf(c.err); got != c.want {
			t.Errorf("%s: %v (%v), want %v", name, got, c.err, c.want)
		}
	}
	if err := fetch(&pb.FetchRequest{MailboxId: b.inbox}); err != io.EOF {
		t.Errorf("fetch of nothing: %v", err)
	}
	if _, err := b.admin.MarkShard(t.Context(), &pb.MarkShardRequest{Shard: 99, Mark: make([]byte, 16)}); kindOf(err) != pb.ErrorDetail_KIND_WRONG_SHARD {
		t.Errorf("mark of a shard that is not here: %v", err)
	}
	if _, err := b.admin.MarkShard(t.Context(), &pb.MarkShardRequest{Shard: b.route.GetShard(), Mark: []byte("short")}); kindOf(err) != pb.ErrorDetail_KIND_INVALID {
		t.Errorf("a mark too short: %v", err)
	}
	for name, c := range map[string]struct {
		req  *pb.VerifyShardRequest
		want pb.ErrorDetail_Kind
	}{
		"shard that is not here": {&pb.VerifyShardRequest{Shard: 99}, pb.ErrorDetail_KIND_WRONG_SHARD},
		"mark that is not there": {&pb.VerifyShardRequest{Shard: b.route.GetShard(), Mark: make([]byte, 16)}, pb.ErrorDetail_KIND_NOT_READY},
	} {
		stream, err := b.admin.VerifyShard(t.Context(), c.req)
		if err == nil {
			_, err = stream.Recv()
		}
		if kindOf(err) != c.want {
			t.Errorf("verify of a %s: %v", name, err)
		}
	}
	st, err := b.admin.NodeStatus(t.Context(), &pb.NodeStatusRequest{})
	if err != nil || st.GetNodeId() != "n1" || len(st.GetReplicas()) != 3 {
		t.Errorf("status: %v, %v", st, err)
	}
}

func routeOf(b *bench, name string) *pb.Route {
	for i := 0; ; i++ {
		account := fmt.Sprintf("%s-%d", name, i)
		if imapnum.SlotOf(account) < imapnum.Slots/2 == (b.route.GetShard() == 1) {
			return &pb.Route{Account: account, Shard: b.route.GetShard(), Epoch: b.route.GetEpoch()}
		}
	}
}

func TestSearch_RFC9051_6_4_4(t *testing.T) {
	b := newBench(t)
	b.fill(10)
	b.flag(imapnum.SetOfRange(3, 8), `\Seen`)
	seen := &pb.SearchKey{Key: &pb.SearchKey_Flag{Flag: `\Seen`}}
	for name, c := range map[string]struct {
		req  *pb.SearchRequest
		want string
	}{
		"seen":        {&pb.SearchRequest{Key: seen}, "3:8"},
		"seen within": {&pb.SearchRequest{Key: seen, Within: pack(imapnum.SetOfRange(7, 1<<32-1))}, "7:8"},
		"within none": {&pb.SearchRequest{Key: seen, Within: &pb.UidSet{}}, ""},
		"not seen":    {&pb.SearchRequest{Key: &pb.SearchKey{Key: &pb.SearchKey_Not{Not: seen}}}, "1:2,9:10"},
	} {
		c.req.MailboxId = b.inbox
		res, err := b.s.Search(t.Context(), c.req)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := imapnum.Unpack(res.GetUids().GetPacked())
		if err != nil || got.String() != c.want {
			t.Errorf("%s: got %v, want %s; %v", name, got, c.want, err)
		}
	}
	for name, key := range map[string]*pb.SearchKey{"no key": nil, "empty": {}, "not of nothing": {Key: &pb.SearchKey_Not{}}} {
		if _, err := b.s.Search(t.Context(), &pb.SearchRequest{MailboxId: b.inbox, Key: key}); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A client that does not read is told everything at once when it does: one
// event, with all that changed.
func TestWatchMergesForASlowClient(t *testing.T) {
	b := newBench(t)
	other := b.do(&pb.Entry{Op: &pb.Entry_CreateMailbox{CreateMailbox: &pb.CreateMailboxOp{Name: "other"}}}).GetMailboxId()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stream, err := b.store.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	send := func(req *pb.WatchRequest) {
		t.Helper()
		if err := stream.Send(req); err != nil {
			t.Fatal(err)
		}
	}
	recv := func() *pb.WatchResponse {
		t.Helper()
		ev, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return ev
	}
	clock := func() uint64 {
		t.Helper()
		a, err := b.s.GetAccount(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return a.GetModSeq()
	}
	send(&pb.WatchRequest{WatchId: 1, Route: b.route})
	if ev := recv(); ev.GetWatchId() != 1 || ev.GetModSeq() != clock() || !ev.GetMailboxList() || len(ev.GetMailboxIds()) != 2 {
		t.Errorf("first state: %v", ev)
	}
	// Enough events to fill what the connection takes if each were sent.
	for i := range 200 {
		b.flag(imapnum.SetOf(1), fmt.Sprintf("$k%d", i%2))
		b.fill(1)
	}
	b.do(&pb.Entry{Op: &pb.Entry_Append{Append: &pb.AppendOp{Mailbox: "other", Messages: []*pb.AppendMessage{{
		Email:  &pb.Email{Size: 1, BodyId: random(16)},
		Inline: []*pb.BodyChunk{{RawSize: 1, Codec: pb.Codec_CODEC_RAW, Data: []byte("x")}},
	}}}}})
	mailboxes := make(map[uint64]bool)
	events := 0
	for last := uint64(0); last < clock(); events++ {
		ev := recv()
		if ev.GetModSeq() <= last || ev.GetAppliedIndex() == 0 {
			t.Fatalf("event %v after modseq %d", ev, last)
		}
		last = ev.GetModSeq()
		for _, id := range ev.GetMailboxIds() {
			mailboxes[id] = true
		}
	}
	if !mailboxes[b.inbox] || !mailboxes[other] {
		t.Errorf("mailboxes %v, want %d and %d", mailboxes, b.inbox, other)
	}
	t.Logf("%d events for 401 changes", events)

	// Nothing is told of what the client knows, nor after the end of a watch.
	send(&pb.WatchRequest{WatchId: 2, Route: b.route, SinceModSeq: clock()})
	send(&pb.WatchRequest{WatchId: 1})
	send(&pb.WatchRequest{})
	if ev := recv(); ev.GetWatchId() != 0 || ev.GetError().GetLeader() != "n1" {
		t.Errorf("answer to a ping: %v", ev)
	}
	b.fill(1)
	if ev := recv(); ev.GetWatchId() != 2 || ev.GetModSeq() != clock() {
		t.Errorf("event: %v", ev)
	}
	send(&pb.WatchRequest{WatchId: 3, Route: routeOf(b, "nobody")})
	if ev := recv(); ev.GetWatchId() != 3 || ev.GetError().GetKind() != pb.ErrorDetail_KIND_NO_ACCOUNT {
		t.Errorf("watch of no account: %v", ev)
	}
	send(&pb.WatchRequest{WatchId: 4, Route: &pb.Route{Account: account, Shard: 99}})
	if ev := recv(); ev.GetWatchId() != 4 || ev.GetError().GetKind() != pb.ErrorDetail_KIND_WRONG_SHARD {
		t.Errorf("watch of another shard: %v", ev)
	}
	b.do(&pb.Entry{Op: &pb.Entry_DeleteAccount{DeleteAccount: &pb.DeleteAccountOp{}}})
	if ev := recv(); ev.GetWatchId() != 2 || ev.GetError().GetKind() != pb.ErrorDetail_KIND_NO_ACCOUNT {
		t.Errorf("account is deleted: %v", ev)
	}
	send(&pb.WatchRequest{WatchId: 2, Route: b.route})
	if _, err := stream.Recv(); kindOf(err) != pb.ErrorDetail_KIND_INVALID {
		t.Errorf("watch id used twice: %v", err)
	}
}
