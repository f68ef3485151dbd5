package search

import (
	"strings"
	"time"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

const secondsADay = 24 * 60 * 60

// dayOf returns the day of a time in seconds since 1970, rounded down.
func dayOf(seconds int64) int64 {
	day := seconds / secondsADay
	if seconds%secondsADay < 0 {
		day--
	}
	return day
}

func within(k *pb.DateKey, day int64) bool {
	return (k.FromDay == nil || day >= k.GetFromDay()) && (k.BeforeDay == nil || day < k.GetBeforeDay())
}

// sentWithin tests the day of the Date field as it is written there. A message
// without a date that can be read was sent on no day.
func sentWithin(k *pb.DateKey) func(*pb.Email) bool {
	return func(e *pb.Email) bool {
		day, ok := sentDay(string(e.GetEnvelope().GetDate()))
		return ok && within(k, day)
	}
}

// sentDay returns the day that a Date field (RFC 5322, 3.3 and 4.3) names,
// disregarding its time and zone. Mailers have written dates in other ways too:
// the first number from 1 to 31 is the day, the first month's name the month, and the
// first other number that is no time the year.
func sentDay(s string) (int64, bool) {
	var day, year int
	var month time.Month
	for _, word := range strings.FieldsFunc(uncomment(s), func(r rune) bool { return strings.ContainsRune(" \t\r\n,-/.", r) }) {
		n, digits := 0, true
		for _, c := range word {
			if digits = c >= '0' && c <= '9'; !digits || n > 9999 {
				digits = false
				break
			}
			n = 10*n + int(c-'0')
		}
		switch {
		case digits && day == 0 && n >= 1 && n <= 31 && len(word) <= 2:
			day = n
		case digits && day != 0 && month != 0:
			if year == 0 {
				year = fullYear(n, len(word))
			}
		case !digits && month == 0:
			month = monthOf(word)
		}
	}
	if day == 0 || month == 0 || year == 0 {
		return 0, false
	}
	t := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	return dayOf(t.Unix()), t.Day() == day
}

// fullYear makes a year of an obsolete form whole (RFC 5322, 4.3).
func fullYear(n, digits int) int {
	switch {
	case digits <= 2 && n < 50:
		return n + 2000
	case digits <= 3:
		return n + 1900
	}
	return n
}

func monthOf(word string) time.Month {
	for m := time.January; m <= time.December; m++ {
		if name := m.String(); len(word) >= 3 && len(word) <= len(name) && strings.EqualFold(word, name[:len(word)]) {
			return m
		}
	}
	return 0
}

// uncomment drops comments.
func uncomment(s string) string {
	if !strings.Contains(s, "(") {
		return s
	}
	var sb strings.Builder
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == '\\' && depth > 0:
			i++
		case depth == 0:
			sb.WriteByte(c)
		}
	}
	return sb.String()
}
