package traffic

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/quorumail/quorumail/proto/imapnum"
)

// maxRanges bounds the ranges of a set in a response.
const maxRanges = 4 << 20

// ParseSet reads a set of UIDs as servers send it: numbers and ranges in any
// order, no "*" (RFC 9051, 9, uid-set). Ranges may be the wrong way round, as
// the grammar allows.
func ParseSet(s string) (imapnum.Set, error) {
	var ranges []imapnum.Range
	for more := true; more; {
		var item string
		item, s, more = strings.Cut(s, ",")
		first, last, isRange := strings.Cut(item, ":")
		a, err := parseUID(first)
		if err != nil {
			return imapnum.Set{}, err
		}
		b := a
		if isRange {
			if b, err = parseUID(last); err != nil {
				return imapnum.Set{}, err
			}
		}
		if len(ranges) == maxRanges {
			return imapnum.Set{}, fmt.Errorf("a set of more than %d ranges", maxRanges)
		}
		ranges = append(ranges, imapnum.Range{First: min(a, b), Last: max(a, b)})
	}
	return imapnum.SetOfRanges(ranges), nil
}

func parseUID(s string) (imapnum.UID, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 || s[0] == '+' {
		return 0, fmt.Errorf("%q is not a UID", s)
	}
	return imapnum.UID(n), nil
}
