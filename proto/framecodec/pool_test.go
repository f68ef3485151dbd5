package framecodec

import (
	"testing"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

func TestPool(t *testing.T) {
	p := newPool()
	for _, n := range []int{0, 1, 287, 288, 289, 64 << 10, 72 << 10, 72<<10 + 1, 1 << 20, 18 << 20, 18<<20 + 1} {
		b := p.Get(n)
		if len(*b) != n || n > 288 && cap(*b) > 9*n/4 {
			t.Errorf("%d octets: %d of %d", n, len(*b), cap(*b))
		}
		for i := range *b {
			(*b)[i] = 1
		}
		p.Put(b)
		if again := p.Get(n); len(*again) != n {
			t.Errorf("%d octets again: %d", n, len(*again))
		}
	}
	// What is put there that is not of the pool is not given out.
	for _, size := range []int{0, 1, 300, 1 << 20, 40 << 20} {
		foreign := make([]byte, size)
		p.Put(&foreign)
		if got := *p.Get(max(size-100, 1)); size > 0 && &got[0] == &foreign[0] {
			t.Errorf("a foreign buffer of %d octets is given out", size)
		}
	}
}

func TestRelease(t *testing.T) {
	c := &pb.BodyChunk{Data: *Buffers.Get(64 << 10)}
	Release(c)
	Release(c)
	Release(nil)
	if c.Data != nil {
		t.Error("data are still there")
	}
}

// A message of 64 KiB takes no MiB.
func TestMarshalTakesBuffersOfThePool(t *testing.T) {
	data, err := Codec{}.Marshal(&pb.BodyChunk{Data: make([]byte, 64<<10)})
	if err != nil {
		t.Fatal(err)
	}
	defer data.Free()
	if b := data[0].ReadOnlyData(); cap(b) > 128<<10 {
		t.Errorf("a message of %d octets lies in %d", len(b), cap(b))
	}
}

func TestCodecTakesMessagesOnly(t *testing.T) {
	if _, err := (Codec{}).Marshal("text"); err == nil {
		t.Error("a string was marshalled")
	}
	if err := (Codec{}).Unmarshal(nil, new(int)); err == nil {
		t.Error("an int was unmarshalled")
	}
}
