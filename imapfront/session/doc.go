// Package session is the IMAP protocol engine: one [Conn] is one client's
// connection, from the greeting to LOGOUT, with a file for each family of
// commands.
//
// # Rules
//
//   - Commands of a connection are executed one after the other, in the order in
//     which they came (RFC 9051, 5.5 allows more; a client can tell no
//     difference but speed).
//   - Only the connection's own goroutine writes to the client, and a connection
//     has no other. A watch of the account only wakes it, out of its read of the
//     client's next line if it is there (see inlet); what to tell is always read
//     from storage, from the modseq where the view stands. So nothing is missed or
//     told twice, also across a failover.
//   - Before a command's tagged answer the view is brought up to what the command
//     itself did; NOOP, CHECK and IDLE bring it up to all that has been
//     acknowledged to anyone.
//   - Storage that cannot be reached is waited for, inside the client library.
//     When that gives up the answer is NO [UNAVAILABLE], and the connection goes
//     on.
package session

import (
	"context"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Store is what a connection needs of storage, once it knows whose; see
// client.Session, which it is, for what the methods promise.
type Store interface {
	Account() string
	Propose(ctx context.Context, entry *pb.Entry) (*pb.Result, error)
	PutChunk(ctx context.Context, bodyID []byte, chunk *pb.BodyChunk) error
	GetAccount(ctx context.Context) (*pb.GetAccountResponse, error)
	ListMailboxes(ctx context.Context) (*pb.ListMailboxesResponse, error)
	SeenMailboxes(ctx context.Context) (*pb.ListMailboxesResponse, error)
	OpenMailbox(ctx context.Context, name string, id uint64, since *pb.Since, fn func(*pb.ChangeBatch) error) (*pb.OpenedMailbox, error)
	Changes(ctx context.Context, mailboxID uint64, since *pb.Since, linearizable bool) (*pb.MailboxInfo, []*pb.ChangeBatch, error)
	Fetch(ctx context.Context, req *pb.FetchRequest, fn func(*pb.FetchResponse) error) error
	GetFlags(ctx context.Context, mailboxID uint64, uids *pb.UidSet) (*pb.GetFlagsResponse, error)
	GetAcl(ctx context.Context, mailbox string) (*pb.GetAclResponse, error)
	Metadata(ctx context.Context, req *pb.GetMetadataRequest, linearizable bool) (*pb.GetMetadataResponse, error)
	Search(ctx context.Context, req *pb.SearchRequest) (*pb.SearchResponse, error)
	Sort(ctx context.Context, req *pb.SortRequest) (*pb.SortResponse, error)
	Thread(ctx context.Context, req *pb.ThreadRequest) (*pb.ThreadResponse, error)
	Watch(since uint64, fn func(*pb.WatchResponse, error)) (stop func())
}
