package raftlog

import "sort"

// markEvery is how many entries lie between two marks.
const markEvery = 32

// mark says: the entries below index, as far as they were counted, have sum
// octets.
type mark struct {
	index uint64
	sum   int64
}

// sizes knows how many octets a range of the log has, roughly: exactly at its
// marks, in proportion between them. A count for each entry would cost memory
// for no use.
type sizes struct {
	marks []mark // ascending in both fields
	next  uint64 // index after the last entry counted
	sum   int64  // octets of all entries counted
}

// reset makes the log one of total octets from first to last; last is first-1
// for an empty one.
func (s *sizes) reset(first, last uint64, total int64) {
	s.marks = append(s.marks[:0], mark{first, 0})
	s.next, s.sum = last+1, total
}

func (s *sizes) add(index uint64, n int64) {
	if len(s.marks) == 0 {
		s.reset(index, index-1, 0)
	}
	if index < s.next {
		s.trimTail(index)
	}
	if index-s.marks[len(s.marks)-1].index >= markEvery {
		s.marks = append(s.marks, mark{index, s.sum})
	}
	s.next = index + 1
	s.sum += n
}

// below returns the sum up to the entries below index.
func (s *sizes) below(index uint64) int64 {
	if len(s.marks) == 0 {
		return s.sum
	}
	if index <= s.marks[0].index {
		return s.marks[0].sum
	}
	if index >= s.next {
		return s.sum
	}
	i := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].index > index }) - 1
	lo, hi := s.marks[i], mark{s.next, s.sum}
	if i+1 < len(s.marks) {
		hi = s.marks[i+1]
	}
	part := float64(index-lo.index) / float64(hi.index-lo.index)
	return lo.sum + int64(part*float64(hi.sum-lo.sum))
}

// after returns the octets of the entries above index.
func (s *sizes) after(index uint64) int64 { return s.sum - s.below(index+1) }

// tail returns the lowest index from which on the log has at most n octets.
func (s *sizes) tail(n int64) uint64 {
	if len(s.marks) == 0 {
		return s.next
	}
	first := s.marks[0].index
	return first + uint64(sort.Search(int(s.next-first), func(i int) bool {
		return s.sum-s.below(first+uint64(i)) <= n
	}))
}

// trimHead forgets the entries below first.
func (s *sizes) trimHead(first uint64) {
	sum := s.below(first)
	i := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].index > first })
	s.marks = append(s.marks[:0], s.marks[max(i-1, 0):]...)
	if len(s.marks) > 0 {
		s.marks[0] = mark{first, sum}
	}
}

// trimTail forgets the entries from min on.
func (s *sizes) trimTail(min uint64) {
	s.sum = s.below(min)
	s.next = min
	for len(s.marks) > 1 && s.marks[len(s.marks)-1].index >= min {
		s.marks = s.marks[:len(s.marks)-1]
	}
}
