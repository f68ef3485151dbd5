package raftlog

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
)

// appendTo makes b.N appends of one entry each, by one goroutine a log, each of
// which drops its older entries now and then, as after a snapshot.
func appendTo(b *testing.B, size int, logs []raft.LogStore) {
	keep := uint64(4<<20) / uint64(size)
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	b.SetBytes(int64(size))
	b.ResetTimer()
	var wg sync.WaitGroup
	for _, log := range logs {
		wg.Go(func() {
			for i := uint64(1); i <= uint64(b.N/len(logs)+1); i++ {
				if err := log.StoreLog(&raft.Log{Index: i, Term: 1, Data: data}); err != nil {
					b.Error(err)
					return
				}
				if i%(2*keep) != 0 {
					continue
				}
				first, err := log.FirstIndex()
				if err == nil {
					err = log.DeleteRange(first, i-keep)
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

// eachShape runs a benchmark for small and large entries, and few and many groups.
func eachShape(b *testing.B, run func(b *testing.B, size, groups int)) {
	for _, size := range []int{4 << 10, 128 << 10} {
		for _, groups := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("size=%dKiB/groups=%d", size>>10, groups), func(b *testing.B) { run(b, size, groups) })
		}
	}
}

// BenchmarkAppend measures the store: all groups share one stream of files.
func BenchmarkAppend(b *testing.B) {
	eachShape(b, func(b *testing.B, size, groups int) {
		s, err := Open(vfs.Default, b.TempDir(), Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		logs := make([]raft.LogStore, groups)
		for i := range logs {
			logs[i] = group(b, s, uint32(i))
		}
		appendTo(b, size, logs)
	})
}

// BenchmarkRaftWAL measures hashicorp/raft-wal with a log a group, to compare with.
func BenchmarkRaftWAL(b *testing.B) {
	eachShape(b, func(b *testing.B, size, groups int) {
		logs := make([]raft.LogStore, groups)
		for i := range logs {
			dir := filepath.Join(b.TempDir(), fmt.Sprint(i))
			if err := os.Mkdir(dir, 0o755); err != nil {
				b.Fatal(err)
			}
			log, err := wal.Open(dir)
			if err != nil {
				b.Fatal(err)
			}
			defer log.Close()
			logs[i] = log
		}
		appendTo(b, size, logs)
	})
}

// BenchmarkFdatasync measures the disk: each goroutine writes to a file of its own
// and syncs it, over and over in the same place.
func BenchmarkFdatasync(b *testing.B) {
	eachShape(b, func(b *testing.B, size, files int) {
		data := make([]byte, size)
		dir := b.TempDir()
		b.SetBytes(int64(size))
		var wg sync.WaitGroup
		for i := range files {
			f, err := vfs.Default.Create(filepath.Join(dir, fmt.Sprint(i)), diskCategory)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			wg.Go(func() {
				for n := range b.N/files + 1 {
					if _, err := f.WriteAt(data, int64(n%64*size)); err != nil {
						b.Error(err)
						return
					}
					if err := f.SyncData(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "syncs/s")
	})
}
