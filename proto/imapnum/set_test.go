package imapnum

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawSet draws a set over a small universe, so that ranges meet, together
// with the same set as a map.
func drawSet(t *rapid.T, label string) (Set, map[UID]bool) {
	uids := rapid.SliceOfN(rapid.Uint32Range(1, 40), 0, 30).Draw(t, label)
	naive := make(map[UID]bool)
	var list []UID
	for _, u := range uids {
		naive[UID(u)] = true
		list = append(list, UID(u))
	}
	return SetOf(list...), naive
}

func checkSame(t *rapid.T, op string, got Set, want func(UID) bool) {
	t.Helper()
	var n uint64
	for u := UID(0); u <= 45; u++ {
		if got.Contains(u) != want(u) {
			t.Fatalf("%s: Contains(%d) = %v, want %v, in %v", op, u, got.Contains(u), want(u), got)
		}
		if want(u) {
			n++
		}
	}
	if got.Len() != n || len(slices.Collect(got.All())) != int(n) {
		t.Fatalf("%s: Len() = %d, want %d", op, got.Len(), n)
	}
	for i, r := range got.Ranges() {
		if r.First == 0 || r.Last < r.First || i > 0 && uint64(r.First) <= uint64(got.Ranges()[i-1].Last)+1 {
			t.Fatalf("%s: ranges are not canonical: %v", op, got.Ranges())
		}
	}
}

func TestSetAlgebraEqualsMaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, inA := drawSet(t, "a")
		b, inB := drawSet(t, "b")
		checkSame(t, "of", a, func(u UID) bool { return inA[u] })
		checkSame(t, "union", a.Union(b), func(u UID) bool { return inA[u] || inB[u] })
		checkSame(t, "intersect", a.Intersect(b), func(u UID) bool { return inA[u] && inB[u] })
		checkSame(t, "subtract", a.Subtract(b), func(u UID) bool { return inA[u] && !inB[u] })
		back, err := Unpack(a.Pack())
		if err != nil || !back.Equal(a) {
			t.Fatalf("Unpack(Pack(%v)) = %v, %v", a, back, err)
		}
	})
}

func TestSetAtTheEndOfTheNumbers(t *testing.T) {
	const top = UID(1<<32 - 1)
	s := SetOfRange(top-1, top)
	if got := slices.Collect(s.All()); !slices.Equal(got, []UID{top - 1, top}) {
		t.Errorf("All() = %v", got)
	}
	if got := s.Subtract(SetOf(top)); got.String() != "4294967294" {
		t.Errorf("without the last: %v", got)
	}
	if got := SetOfRange(1, top).Subtract(SetOf(1, top)); got.String() != "2:4294967294" {
		t.Errorf("without both ends: %v", got)
	}
	if got := SetOfRange(1, top).Len(); got != 1<<32-1 {
		t.Errorf("Len() = %d", got)
	}
	if back, err := Unpack(s.Pack()); err != nil || !back.Equal(s) {
		t.Errorf("Unpack(Pack(%v)) = %v, %v", s, back, err)
	}
}

func TestUnpackRefuses(t *testing.T) {
	for name, packed := range map[string][]uint32{
		"odd length":    {1},
		"uid 0":         {0, 1},
		"touching":      {1, 1, 1, 1},
		"past the end":  {1<<32 - 1, 1},
		"second at end": {5, 1<<32 - 1},
	} {
		if got, err := Unpack(packed); err == nil {
			t.Errorf("%s: Unpack(%v) = %v, want an error", name, packed, got)
		}
	}
}

func TestSetString(t *testing.T) {
	for want, s := range map[string]Set{
		"":        {},
		"1":       SetOf(1),
		"1:3,7":   SetOf(7, 3, 2, 1, 1),
		"2:5,9":   SetOfRanges([]Range{{9, 9}, {4, 5}, {2, 3}, {8, 6}}),
		"1:4":     SetOfRange(0, 4),
		"3:4,6:8": SetOfRanges([]Range{{6, 8}, {3, 4}}),
	} {
		if got := s.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte{1, 0, 2, 5})
	f.Fuzz(func(t *testing.T, data []byte) {
		packed := make([]uint32, 0, len(data))
		for i, b := range data {
			packed = append(packed, uint32(b)<<(8*(i%4)))
		}
		s, err := Unpack(packed)
		if err == nil && !slices.Equal(s.Pack(), packed) {
			t.Fatalf("Pack(Unpack(%v)) = %v", packed, s.Pack())
		}
	})
}
