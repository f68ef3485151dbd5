package raftfsm

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// EntryVersion is the version of entries that this state machine understands,
// and the one that proposers write.
const EntryVersion = 1

// Config makes an [FSM].
type Config struct {
	// DB is the node's state store, opened without a write-ahead log. It is
	// shared by all shards of the node.
	DB *pebble.DB
	// FS and Dir are where Import builds its tables: on the file system of DB.
	FS  vfs.FS
	Dir string
	// Shard is the number that all keys begin with.
	Shard uint32
	// OnChange, if given, is called by the apply goroutine for each account that
	// a batch changed, once the batch can be read. It must not block.
	OnChange func(Change)
	// OnMark, if given, is called by the apply goroutine with the state as it is
	// after a batch that has a mark. It must not block, and has the view to close.
	OnMark func(mark []byte, v *View)
	// Indexes holds the UIDs and flags of mailboxes in memory, for the state machines
	// of a node together; nil: one of its own, of 64 MiB.
	Indexes *IndexCache
	// SummaryMin is how many messages a mailbox has at least whose index is stored;
	// default 4096.
	SummaryMin int
	// Log; nil: discarded.
	Log *slog.Logger
}

// Change tells that an account has moved on.
type Change struct {
	Account      string
	AppliedIndex uint64
	ModSeq       imapnum.ModSeq
	// Mailboxes that changed, each once.
	Mailboxes []imapnum.MailboxID
	// MailboxList: a mailbox or a subscription was made, renamed or removed.
	MailboxList bool
	// Metadata: an annotation was set or removed.
	Metadata bool
	// Deleted: the account is gone.
	Deleted bool
}

// Command is one committed log entry.
type Command struct {
	Index, Term uint64
	// Data is an encoded pb.EntryBatch; empty for entries that mean nothing to
	// the state machine.
	Data []byte
}

// FSM is the state of one shard. See the package comment for which methods may
// be called when.
type FSM struct {
	cfg Config
	db  *pebble.DB
	// era counts the imports begun and ended; see frozen. It is raised under mu,
	// and read without it.
	era       atomic.Uint64
	summaries *summaries
	hot       *hot

	mu struct {
		sync.RWMutex
		applied appliedRecord
		// cache is another after an Import: views of before keep the old one, so
		// that they cannot leave in the new what is no longer so.
		cache *indexCache
	}
}

// Open reads how far the shard's log has been applied, and removes the tables of an
// import that did not come to its end.
func Open(cfg Config) (*FSM, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Indexes == nil {
		cfg.Indexes = NewIndexCache(defaultIndexes)
	}
	if cfg.SummaryMin == 0 {
		cfg.SummaryMin = defaultSummaryMin
	}
	if err := dropTables(cfg); err != nil {
		return nil, fmt.Errorf("raftfsm: open: shard %d: %w", cfg.Shard, err)
	}
	f := &FSM{cfg: cfg, db: cfg.DB, hot: newHot()}
	f.summaries = newSummaries(f)
	f.mu.cache = cfg.Indexes.part()
	applied, err := readApplied(f.db, cfg.Shard)
	if err != nil {
		return nil, fmt.Errorf("raftfsm: open: shard %d: %w", cfg.Shard, err)
	}
	f.mu.applied = applied
	return f, nil
}

// Close ends what goes on in the background. The store stays open.
func (f *FSM) Close() error {
	f.summaries.close()
	f.mu.RLock()
	defer f.mu.RUnlock()
	f.mu.cache.close()
	return nil
}

// readApplied returns the zero record for a shard that has none.
func readApplied(r pebble.Reader, shard uint32) (appliedRecord, error) {
	value, err := get(r, keys.Applied(shard))
	if err != nil || value == nil {
		return appliedRecord{}, err
	}
	return decodeApplied(value)
}

// get returns a copy of a value, nil if there is none.
func get(r pebble.Reader, key []byte) ([]byte, error) {
	value, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	own := append(make([]byte, 0, len(value)), value...)
	return own, closer.Close()
}

// Applied returns index and term of the last command applied, 0 before the
// first. It may be called from any goroutine; what it returns can be read.
func (f *FSM) Applied() (index, term uint64) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.mu.applied.index, f.mu.applied.term
}

// DurableApplied returns the index up to which the state would be there after a
// crash.
func (f *FSM) DurableApplied() (uint64, error) {
	key := keys.Applied(f.cfg.Shard)
	it, err := f.db.NewIter(&pebble.IterOptions{
		LowerBound: key, UpperBound: keys.Successor(key), OnlyReadGuaranteedDurable: true,
	})
	if err != nil {
		return 0, fmt.Errorf("raftfsm: durable applied index: %w", err)
	}
	defer func() { _ = it.Close() }() // what it read is checked below
	if !it.First() {
		return 0, it.Error()
	}
	applied, err := decodeApplied(it.Value())
	return applied.index, err
}

// ApplyBatch applies commands, ascending by index, and returns for each the
// results of its entries. Commands at or below the applied index are passed
// over, with no results: they are in the state already. All effects of the call
// become visible, and survive a crash, together, but for those after a mark: the
// state is captured before them.
//
// An error means that the state is no longer known: a failed read or write, or
// a record that cannot be ours. The replica must stop. Nothing in a command can
// bring it about.
func (f *FSM) ApplyBatch(cmds []Command) ([][]*pb.Result, error) {
	results := make([][]*pb.Result, len(cmds))
	for done := 0; done < len(cmds); {
		n, err := f.applyToMark(cmds[done:], results[done:])
		if err != nil {
			return nil, fmt.Errorf("raftfsm: apply: shard %d: %w", f.cfg.Shard, err)
		}
		done += n
	}
	return results, nil
}

// applyToMark applies commands up to the first that has a mark, in one transaction,
// and returns how many these are.
func (f *FSM) applyToMark(cmds []Command, results [][]*pb.Result) (n int, err error) {
	tx := newTx(f)
	defer tx.close()
	var mark []byte
	for n < len(cmds) && mark == nil {
		cmd := cmds[n]
		n++
		if cmd.Index <= tx.applied.index {
			continue
		}
		tx.applied.index, tx.applied.term = cmd.Index, cmd.Term
		if results[n-1], mark, err = tx.command(cmd); err != nil {
			return 0, fmt.Errorf("index %d: %w", cmd.Index, err)
		}
	}
	if err := tx.commit(); err != nil || mark == nil || f.cfg.OnMark == nil {
		return n, err
	}
	v, err := f.View()
	if err != nil {
		return 0, err
	}
	f.cfg.OnMark(mark, v)
	return n, nil
}

// command applies the entries of one command, and returns its mark, which has a
// result after theirs. Data that is no EntryBatch has one result.
func (tx *tx) command(cmd Command) (results []*pb.Result, mark []byte, err error) {
	if len(cmd.Data) == 0 {
		return nil, nil, nil
	}
	batch, err := decodeBatch(cmd.Data)
	if err != nil {
		return []*pb.Result{refuse(pb.Code_CODE_INVALID, "not an entry batch")}, nil, nil
	}
	results = make([]*pb.Result, len(batch.GetEntries()))
	for i, e := range batch.GetEntries() {
		res, err := tx.entry(e)
		if err != nil {
			return nil, nil, err
		}
		results[i] = res
	}
	if len(batch.GetMark()) > 0 {
		mark, results = batch.GetMark(), append(results, &pb.Result{Code: pb.Code_CODE_OK})
	}
	return results, mark, nil
}

// entry applies one entry, unless its session has had it done before.
func (tx *tx) entry(e *pb.Entry) (*pb.Result, error) {
	tx.applied.time = max(tx.applied.time, e.GetTime())
	if e.GetVersion() == 0 || e.GetVersion() > EntryVersion {
		return refuse(pb.Code_CODE_INVALID, "unknown entry version"), nil
	}
	if name, err := imapnum.AccountName(e.GetAccount()); err != nil || name != e.GetAccount() {
		return refuse(pb.Code_CODE_INVALID, "not a normalised account name"), nil
	}
	if name, err := imapnum.AccountName(e.GetActor()); e.GetActor() != "" && (err != nil || name != e.GetActor()) {
		return refuse(pb.Code_CODE_INVALID, "not a normalised name of an actor"), nil
	}
	acct, err := tx.account(e.GetAccount())
	if err != nil {
		return nil, err
	}
	if acct.actor = e.GetActor(); acct.actor == acct.name {
		acct.actor = ""
	}
	remembered, err := tx.recall(acct, e.GetRequest())
	if err != nil || remembered != nil {
		return remembered, err
	}
	existed := acct.exists
	res, err := tx.operation(acct, e)
	if err != nil {
		return nil, err
	}
	// Of an account that is not there nothing is kept, or anybody could fill the
	// store with names. A deletion is kept: its retry must not delete an account
	// that has been created since.
	if existed || acct.exists {
		err = tx.remember(acct, e.GetRequest(), res)
	}
	return res, err
}

// operation does what an entry asks.
func (tx *tx) operation(acct *account, e *pb.Entry) (*pb.Result, error) {
	if op := e.GetCreateAccount(); op != nil && acct.actor == "" {
		return tx.createAccount(acct, op)
	}
	if !acct.exists {
		return refuse(pb.Code_CODE_NO_ACCOUNT, "no such account"), nil
	}
	if acct.actor != "" && ownersOnly(e) {
		return noPermission(), nil
	}
	switch op := e.GetOp().(type) {
	case *pb.Entry_SetCredentials:
		return tx.setCredentials(acct, op.SetCredentials.GetCredentials())
	case *pb.Entry_DeleteAccount:
		return tx.deleteAccount(acct)
	case *pb.Entry_CreateMailbox:
		return tx.createMailbox(acct, op.CreateMailbox)
	case *pb.Entry_DeleteMailbox:
		return tx.deleteMailbox(acct, op.DeleteMailbox)
	case *pb.Entry_RenameMailbox:
		return tx.renameMailbox(acct, op.RenameMailbox)
	case *pb.Entry_Subscribe:
		return tx.subscribe(acct, op.Subscribe)
	case *pb.Entry_Append:
		return tx.append(acct, op.Append)
	case *pb.Entry_Store:
		return tx.store(acct, op.Store)
	case *pb.Entry_Expunge:
		return tx.expunge(acct, op.Expunge)
	case *pb.Entry_Copy:
		return tx.copy(acct, op.Copy)
	case *pb.Entry_PutChunk:
		return tx.putChunk(acct, op.PutChunk)
	case *pb.Entry_Collect:
		return tx.collect(acct, op.Collect)
	case *pb.Entry_CompactQueue:
		return tx.compactQueue(acct, op.CompactQueue)
	case *pb.Entry_Replace:
		return tx.replaceMessage(acct, op.Replace)
	case *pb.Entry_SetQuota:
		return tx.setQuota(acct, op.SetQuota)
	case *pb.Entry_SetMetadata:
		return tx.setMetadata(acct, acct.actor, op.SetMetadata)
	case *pb.Entry_SetAcl:
		return tx.setACL(acct, op.SetAcl)
	case *pb.Entry_ClaimRecent:
		return tx.claimRecent(acct, op.ClaimRecent)
	case *pb.Entry_NoteShare:
		return tx.noteShare(acct, op.NoteShare)
	}
	return refuse(pb.Code_CODE_INVALID, "unknown operation"), nil
}

// refuse is the result of a command that changes nothing.
func refuse(code pb.Code, detail string) *pb.Result {
	return &pb.Result{Code: code, Detail: detail}
}
