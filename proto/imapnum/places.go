package imapnum

// Places returns what a list of numbers, given as ranges in the list's order, has
// at the places from to to, 1 being the first or, with fromEnd, the last. The
// order is kept. It is empty if the list has no such places (RFC 9394, 3.1).
func Places(list []Range, from, to uint64, fromEnd bool) []Range {
	if fromEnd {
		total := uint64(0)
		for _, r := range list {
			total += r.Len()
		}
		if from > total {
			return nil
		}
		from, to = total-min(to, total)+1, total-from+1
	}
	var part []Range
	at := uint64(0) // places before the range
	for _, r := range list {
		n := r.Len()
		if first, last := max(from, at+1), min(to, at+n); first <= last {
			part = append(part, Range{First: r.First + UID(first-at-1), Last: r.First + UID(last-at-1)})
		}
		if at += n; at >= to {
			break
		}
	}
	return part
}
