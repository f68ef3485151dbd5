package node

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// A write that fails is never tried again: the node has to end.
func TestFailedFlushIsFatal(t *testing.T) {
	var mu sync.Mutex
	broken := false
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if broken && strings.HasSuffix(op.Path, ".sst") && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return errorfs.ErrInjected
		}
		return nil
	}))
	fatal := make(chan error, 1)
	cfg := (&Config{FS: fs, MinFree: -1}).withDefaults()
	db, err := openState(cfg, "state", func(err error) {
		select {
		case fatal <- err:
		default: // a flush is tried over and over until the node has ended
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Set([]byte("k"), []byte("v"), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	broken = true
	mu.Unlock()
	flushed, err := db.AsyncFlush()
	if err != nil {
		t.Fatal(err)
	}
	if err := <-fatal; !errors.Is(err, errorfs.ErrInjected) {
		t.Errorf("got %v", err)
	}
	mu.Lock()
	broken = false // so that it can be closed
	mu.Unlock()
	<-flushed
}
