package raftfsm

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// Errors of reading, besides ErrReplaced. Whatever else a read returns is a
// failure of the store.
var (
	ErrNoAccount = errors.New("no such account")
	ErrNoMailbox = errors.New("no such mailbox")
)

// View is the state at one applied index. It is safe for concurrent use and
// must be closed: as long as it is open the store keeps what it sees. Only an
// Import ends it before: from then on what must be read from the store is
// ErrReplaced.
type View struct {
	f       *FSM
	snap    *frozen
	cache   *indexCache
	applied appliedRecord
}

// View captures the state as it is now. During an Import it returns
// ErrReplaced.
func (f *FSM) View() (*View, error) {
	// Under one lock, so that the cache is of the snapshot's era.
	f.mu.RLock()
	era, cache := f.era.Load(), f.mu.cache
	if era%2 != 0 {
		f.mu.RUnlock()
		return nil, fmt.Errorf("raftfsm: view: shard %d: %w", f.cfg.Shard, ErrReplaced)
	}
	snap := &frozen{snap: f.db.NewSnapshot(), now: &f.era, era: era}
	f.mu.RUnlock()
	applied, err := readApplied(snap, f.cfg.Shard)
	if err != nil {
		_ = snap.Close() // err tells more
		return nil, fmt.Errorf("raftfsm: view: shard %d: %w", f.cfg.Shard, err)
	}
	return &View{f: f, snap: snap, cache: cache, applied: applied}, nil
}

// Close lets go of the state.
func (v *View) Close() error { return v.snap.Close() }

// Applied returns index and term of the last command in the view.
func (v *View) Applied() (index, term uint64) { return v.applied.index, v.applied.term }

// Account is one account in a [View].
type Account struct {
	v     *View
	name  string
	space keys.Space
	rec   accountRecord
}

// Account returns an account. It returns ErrNoAccount if there is none.
func (v *View) Account(name string) (*Account, error) {
	if name == "" || len(name) > imapnum.MaxAccountName {
		return nil, ErrNoAccount // its length does not fit into a key
	}
	a := &Account{v: v, name: name, space: keys.ForAccount(v.f.cfg.Shard, name)}
	value, err := get(v.snap, a.space.Key(keys.Account))
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, ErrNoAccount
	}
	if a.rec, err = decodeAccount(value); err != nil {
		return nil, err
	}
	if a.rec.deleted {
		return nil, ErrNoAccount
	}
	return a, countUsage(v.snap, a.space, &a.rec)
}

// Accounts calls fn with the name of each account that is above after, in the
// order of slots and names, until it returns false. after is empty to start.
func (v *View) Accounts(after string, fn func(name string) bool) error {
	start, end := keys.Accounts(v.f.cfg.Shard)
	if after != "" {
		_, start = keys.ForAccount(v.f.cfg.Shard, after).Range()
	}
	it, err := v.snap.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return err
	}
	// One seek an account: the rest of its keys are leapt over.
	for ok := it.First(); ok; {
		name, kind, _, err := keys.ParseAccount(it.Key())
		if err != nil {
			_ = it.Close() // err tells more
			return fmt.Errorf("key %x: %w", it.Key(), err)
		}
		if kind == keys.Account {
			rec, err := decodeAccount(it.Value())
			if err != nil {
				_ = it.Close() // err tells more
				return err
			}
			if !rec.deleted && !fn(name) {
				break
			}
		}
		_, next := keys.ForAccount(v.f.cfg.Shard, name).Range()
		ok = it.SeekGE(next)
	}
	if err := it.Error(); err != nil {
		_ = it.Close() // err tells more
		return err
	}
	return it.Close()
}

// ModSeq returns the account's modseq clock.
func (a *Account) ModSeq() imapnum.ModSeq { return a.rec.modSeq }

// Credentials returns what passwords are checked against.
func (a *Account) Credentials() (*pb.Credentials, error) {
	c := &pb.Credentials{}
	value, err := get(a.v.snap, a.space.Key(keys.Credentials))
	if err == nil && proto.Unmarshal(value, c) != nil {
		err = errCorrupt
	}
	return c, err
}

// Mailboxes returns all mailboxes, INBOX first, the others ascending by name in
// octet order, and the subscribed names, ascending.
func (a *Account) Mailboxes() (boxes []*pb.MailboxInfo, subscriptions []string, err error) {
	start, end := a.space.Kind(keys.Subscribed)
	subscribed := make(map[string]bool)
	err = scan(a.v.snap, start, end, func(key, _ []byte) (bool, error) {
		name := string(a.space.Rest(key))
		subscribed[name] = true
		subscriptions = append(subscriptions, name)
		return true, nil
	})
	if err != nil {
		return nil, nil, err
	}
	var inbox *pb.MailboxInfo
	start, end = a.space.Kind(keys.Name)
	err = scan(a.v.snap, start, end, func(key, value []byte) (bool, error) {
		id, err := decodeUint(value)
		if err != nil {
			return false, err
		}
		record, err := get(a.v.snap, a.space.ID(keys.Mailbox, id))
		if err != nil {
			return false, err
		}
		info, err := unmarshalInfo(record)
		if err != nil || info.GetName() != string(a.space.Rest(key)) {
			return false, errCorrupt
		}
		info.Subscribed = subscribed[info.GetName()]
		if info.GetName() == Inbox {
			inbox = info
		} else {
			boxes = append(boxes, info)
		}
		return true, nil
	})
	if err != nil {
		return nil, nil, err
	}
	if inbox == nil {
		return nil, nil, errCorrupt
	}
	return append([]*pb.MailboxInfo{inbox}, boxes...), subscriptions, nil
}

// MailboxByName returns a mailbox; the name need not be in canonical form. It
// returns ErrNoMailbox if there is none.
func (a *Account) MailboxByName(name string) (*Mailbox, error) {
	canon, ok := imapnum.MailboxName(name)
	if !ok {
		return nil, ErrNoMailbox
	}
	value, err := get(a.v.snap, a.space.Bytes(keys.Name, []byte(canon)))
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, ErrNoMailbox
	}
	id, err := decodeUint(value)
	if err != nil {
		return nil, err
	}
	return a.MailboxByID(imapnum.MailboxID(id))
}

// MailboxByID returns a mailbox, or ErrNoMailbox if it does not exist.
func (a *Account) MailboxByID(id imapnum.MailboxID) (*Mailbox, error) {
	value, err := get(a.v.snap, a.space.ID(keys.Mailbox, uint64(id)))
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, ErrNoMailbox
	}
	info, err := unmarshalInfo(value)
	if err != nil {
		return nil, err
	}
	key := a.space.Bytes(keys.Subscribed, []byte(info.GetName()))
	subscription, err := get(a.v.snap, key)
	info.Subscribed = subscription != nil
	return &Mailbox{a: a, id: id, info: info}, err
}
