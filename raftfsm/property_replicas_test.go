package raftfsm

import (
	"bytes"
	"io"
	"testing"

	"pgregory.net/rapid"
)

// crash loses what the store has not flushed, and replays the log.
func (p *pair) crash() {
	before := p.m.f.hashForTest(p)
	if rapid.Bool().Draw(p.T, "flushed before") {
		if err := p.m.db.Flush(); err != nil {
			p.Fatal(err)
		}
		// What comes after the flush is lost: nothing but the flush makes durable.
		for range rapid.IntRange(0, 3).Draw(p.T, "steps after the flush") {
			p.step()
		}
		before = p.m.f.hashForTest(p)
	}
	clone := p.m.fs.CrashClone(cutConfig(p.T))
	p.m.close() // of the old disk
	p.m.start(clone)
	durable, err := p.m.f.DurableApplied()
	if err != nil || durable != p.m.index {
		p.Fatalf("durable index %d after a crash, applied %d; %v", durable, p.m.index, err)
	}
	if p.m.index > 0 {
		p.equal("what a crash left", p.m.f.hashForTest(p), p.hashes[p.m.index])
	}
	if _, err := p.m.f.ApplyBatch(p.log); err != nil {
		p.Fatal(err)
	}
	p.m.index, _ = p.m.f.Applied()
	p.equal("after a crash and replay", p.m.f.hashForTest(p), before)
}

// otherReplicas applies the same log in other batches, and takes an export in.
func (p *pair) otherReplicas(t *testing.T) {
	want := p.m.f.hashForTest(p)
	other := newMachine(t)
	defer other.close()
	for rest := p.log; len(rest) > 0; {
		n := rapid.IntRange(1, min(8, len(rest))).Draw(p.T, "batch")
		if _, err := other.f.ApplyBatch(rest[:n]); err != nil {
			p.Fatal(err)
		}
		rest = rest[n:]
	}
	p.equal("in other batches", other.f.hashForTest(p), want)
	v, err := p.m.f.View()
	if err != nil {
		p.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	var export bytes.Buffer
	if err := v.Export(&export); err != nil {
		p.Fatal(err)
	}
	third := newMachine(t)
	defer third.close()
	if err := third.f.Import(io.Reader(&export)); err != nil {
		p.Fatal(err)
	}
	p.equal("from an export", third.f.hashForTest(p), want)
}
