package imapnum

import (
	"errors"
	"iter"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Range is a run of UIDs, both ends included; First <= Last.
type Range struct{ First, Last UID }

// Len returns the number of UIDs in r.
func (r Range) Len() uint64 { return uint64(r.Last) - uint64(r.First) + 1 }

// Set is a set of UIDs, held as sorted ranges that neither overlap nor touch.
// The zero value is the empty set. Methods that return a Set may share memory
// with their operands: treat a Set that has been handed out as constant.
type Set struct{ ranges []Range }

// SetOf returns the set of the given UIDs, in any order. 0 is passed over.
func SetOf(uids ...UID) Set {
	var b SetBuilder
	if !slices.IsSorted(uids) {
		uids = slices.Clone(uids)
		slices.Sort(uids)
	}
	for _, u := range uids {
		b.Add(u)
	}
	return b.Set()
}

// SetOfRange returns the set of first to last; empty if last < first. 0 is not
// a UID and never in it.
func SetOfRange(first, last UID) Set {
	first = max(first, 1)
	if last < first {
		return Set{}
	}
	return Set{ranges: []Range{{first, last}}}
}

// SetOfRanges returns the union of ranges given in any order; those with
// Last < First are empty.
func SetOfRanges(ranges []Range) Set {
	in := make([]Range, 0, len(ranges))
	for _, r := range ranges {
		r.First = max(r.First, 1)
		if r.Last >= r.First {
			in = append(in, r)
		}
	}
	slices.SortFunc(in, func(a, b Range) int {
		switch {
		case a.First < b.First:
			return -1
		case a.First > b.First:
			return 1
		}
		return 0
	})
	var b SetBuilder
	for _, r := range in {
		b.AddRange(r.First, r.Last)
	}
	return b.Set()
}

// SetBuilder makes a Set from UIDs and ranges whose first UIDs ascend. The
// zero value is ready for use.
type SetBuilder struct{ ranges []Range }

// Add adds one UID. See AddRange.
func (b *SetBuilder) Add(u UID) { b.AddRange(u, u) }

// AddRange adds first to last. first must not be below the first UID of the
// range added before; overlap is fine. 0 and empty ranges are passed over.
func (b *SetBuilder) AddRange(first, last UID) {
	first = max(first, 1)
	if last < first {
		return
	}
	if n := len(b.ranges); n > 0 {
		top := &b.ranges[n-1]
		if first < top.First {
			panic("imapnum: SetBuilder: UIDs descend") // a bug of the caller: never data
		}
		if uint64(first) <= uint64(top.Last)+1 {
			top.Last = max(top.Last, last)
			return
		}
	}
	b.ranges = append(b.ranges, Range{first, last})
}

// Set returns what was added. The builder must not be used afterwards.
func (b *SetBuilder) Set() Set { return Set{ranges: b.ranges} }

// Empty reports whether s has no UID.
func (s Set) Empty() bool { return len(s.ranges) == 0 }

// Len returns the number of UIDs in s.
func (s Set) Len() uint64 {
	var n uint64
	for _, r := range s.ranges {
		n += r.Len()
	}
	return n
}

// Ranges returns the ranges of s in ascending order. They must not be changed.
func (s Set) Ranges() []Range { return s.ranges }

// Min returns the lowest UID, 0 if s is empty.
func (s Set) Min() UID {
	if s.Empty() {
		return 0
	}
	return s.ranges[0].First
}

// Max returns the highest UID, 0 if s is empty.
func (s Set) Max() UID {
	if s.Empty() {
		return 0
	}
	return s.ranges[len(s.ranges)-1].Last
}

// search returns the index of the first range that ends at or after u.
func (s Set) search(u UID) int {
	return sort.Search(len(s.ranges), func(i int) bool { return s.ranges[i].Last >= u })
}

// Contains reports whether u is in s.
func (s Set) Contains(u UID) bool {
	i := s.search(u)
	return i < len(s.ranges) && s.ranges[i].First <= u
}

// All iterates over the UIDs of s, ascending.
func (s Set) All() iter.Seq[UID] {
	return func(yield func(UID) bool) {
		for _, r := range s.ranges {
			for u := uint64(r.First); u <= uint64(r.Last); u++ {
				if !yield(UID(u)) {
					return
				}
			}
		}
	}
}

// Equal reports whether s and t have the same UIDs.
func (s Set) Equal(t Set) bool { return slices.Equal(s.ranges, t.ranges) }

// Union returns the UIDs that are in s, in t or in both.
func (s Set) Union(t Set) Set {
	if s.Empty() {
		return t
	}
	if t.Empty() {
		return s
	}
	var b SetBuilder
	i, j := 0, 0
	for i < len(s.ranges) || j < len(t.ranges) {
		if j == len(t.ranges) || i < len(s.ranges) && s.ranges[i].First <= t.ranges[j].First {
			b.AddRange(s.ranges[i].First, s.ranges[i].Last)
			i++
		} else {
			b.AddRange(t.ranges[j].First, t.ranges[j].Last)
			j++
		}
	}
	return b.Set()
}

// Intersect returns the UIDs that are in both s and t.
func (s Set) Intersect(t Set) Set {
	var b SetBuilder
	i, j := 0, 0
	for i < len(s.ranges) && j < len(t.ranges) {
		b.AddRange(max(s.ranges[i].First, t.ranges[j].First), min(s.ranges[i].Last, t.ranges[j].Last))
		if s.ranges[i].Last < t.ranges[j].Last {
			i++
		} else {
			j++
		}
	}
	return b.Set()
}

// Subtract returns the UIDs of s that are not in t.
func (s Set) Subtract(t Set) Set {
	if s.Empty() || t.Empty() {
		return s
	}
	var b SetBuilder
	j := 0
	for _, r := range s.ranges {
		next := uint64(r.First)
		for j < len(t.ranges) && uint64(t.ranges[j].Last) < next {
			j++
		}
		for k := j; k < len(t.ranges) && t.ranges[k].First <= r.Last; k++ {
			if cut := t.ranges[k]; uint64(cut.First) > next {
				b.AddRange(UID(next), cut.First-1)
			}
			next = uint64(t.ranges[k].Last) + 1
		}
		if next <= uint64(r.Last) {
			b.AddRange(UID(next), r.Last)
		}
	}
	return b.Set()
}

// String returns s as an IMAP sequence-set such as "1:3,7", in its shortest
// form; the empty string if s is empty.
func (s Set) String() string {
	var sb strings.Builder
	for i, r := range s.ranges {
		if i > 0 {
			sb.WriteByte(',')
		}
		sb.WriteString(strconv.FormatUint(uint64(r.First), 10))
		if r.Last != r.First {
			sb.WriteByte(':')
			sb.WriteString(strconv.FormatUint(uint64(r.Last), 10))
		}
	}
	return sb.String()
}

// Pack returns s in the form of the UidSet message: for each range its
// distance from the end of the range before, and its length less one.
func (s Set) Pack() []uint32 {
	packed := make([]uint32, 0, 2*len(s.ranges))
	var end UID
	for _, r := range s.ranges {
		packed = append(packed, uint32(r.First-end), uint32(r.Last-r.First))
		end = r.Last
	}
	return packed
}

// ErrPacked says that numbers are not a packed set.
var ErrPacked = errors.New("not a packed UID set")

// Unpack is the reverse of Pack. It refuses whatever Pack does not make, so
// that a set has one form: sets are compared and hashed as they are stored.
func Unpack(packed []uint32) (Set, error) {
	if len(packed) == 0 {
		return Set{}, nil
	}
	if len(packed)%2 != 0 {
		return Set{}, ErrPacked
	}
	ranges := make([]Range, 0, len(packed)/2)
	var end uint64
	for i := 0; i < len(packed); i += 2 {
		gap := uint64(packed[i])
		if gap == 0 || i > 0 && gap == 1 {
			return Set{}, ErrPacked
		}
		first := end + gap
		end = first + uint64(packed[i+1])
		if end > 1<<32-1 {
			return Set{}, ErrPacked
		}
		ranges = append(ranges, Range{UID(first), UID(end)})
	}
	return Set{ranges: ranges}, nil
}
