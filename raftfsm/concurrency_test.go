package raftfsm

import (
	"sync"
	"testing"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// A view is of one applied index, whatever Apply does meanwhile: its bitmaps,
// counts and records are those of that index (run with -race).
func TestViewsBesideApply(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	for range 20 {
		m.ok(m.mail("INBOX"))
	}
	read := func() {
		v, err := m.f.View()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = v.Close() }()
		a, err := v.Account(alice)
		if err != nil {
			t.Error(err)
			return
		}
		box, err := a.MailboxByName("INBOX")
		if err != nil {
			t.Error(err)
			return
		}
		uids, err := box.UIDs()
		if err != nil {
			t.Error(err)
		}
		deleted, err := box.Flagged(imapnum.FlagDeleted)
		if err != nil {
			t.Error(err)
		}
		var all, marked imapnum.SetBuilder
		err = box.Messages(imapnum.SetOfRange(1, 1<<32-1), func(msg *pb.FetchedMessage) (bool, error) {
			uid := imapnum.UID(msg.GetState().GetUid())
			all.Add(uid)
			if imapnum.SystemFlags(msg.GetState().GetSystemFlags())&imapnum.FlagDeleted != 0 {
				marked.Add(uid)
			}
			return true, nil
		})
		if err != nil {
			t.Error(err)
		}
		i := box.Info()
		if !uids.Equal(all.Set()) || !deleted.Equal(marked.Set()) || uids.Len() != uint64(i.GetExists()) || deleted.Len() != uint64(i.GetDeleted()) {
			t.Errorf("UIDs %v of records %v, \\Deleted %v of %v, counted %d and %d",
				uids, all.Set(), deleted, marked.Set(), i.GetExists(), i.GetDeleted())
		}
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					read()
				}
			}
		})
	}
	for i := range 60 {
		m.ok(m.mail("INBOX"))
		m.ok(store(pb.StoreOp_MODE_ADD, set(imapnum.UID(i+1), imapnum.UID(i+2)), `\Deleted`))
		if i%3 == 0 {
			m.ok(expunge())
		}
	}
	close(stop)
	wg.Wait()
	m.check(alice)
}
