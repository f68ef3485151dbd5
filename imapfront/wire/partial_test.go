package wire

import (
	"slices"
	"testing"

	"github.com/quorumail/quorumail/proto/imapnum"
)

func TestPartial_RFC9394_4(t *testing.T) {
	first, last := PartialRange{First: 500, Last: 400}, PartialRange{First: 1, Last: 4294967295, FromEnd: true}
	check(t, map[string]Command{
		"search return (partial 500:400) all":                Search{Return: &SearchReturn{Partial: first}, Key: SearchAll{}},
		"uid search return (MIN Partial -1:-4294967295) all": Search{UID: true, Return: &SearchReturn{Min: true, Partial: last}, Key: SearchAll{}},
		"uid fetch 1:* (uid) (partial 500:400 changedsince 7)": Fetch{UID: true, Set: nums(1, 0), Items: []FetchItem{{Name: "UID"}},
			ChangedSince: ptr(uint64(7)), Partial: first},
		"fetch $ uid (PARTIAL -1:-4294967295)": Fetch{Set: NumSet{Saved: true}, Items: []FetchItem{{Name: "UID"}}, Partial: last},
	})
}

// Of picks what a list of all numbers has at the places.
func TestPartialRangeOf_RFC9394_3_1(t *testing.T) {
	lists := [][]imapnum.Range{
		nil,
		{{First: 5, Last: 5}},
		{{First: 1, Last: 3}, {First: 7, Last: 7}, {First: 9, Last: 12}},
		{{First: 9, Last: 12}, {First: 1, Last: 3}, {First: 7, Last: 7}}, // as SORT may have it
		{{First: 4294967294, Last: 4294967295}},
	}
	ends := []uint32{1, 2, 3, 4, 7, 8, 9, 20, 4294967295}
	for _, list := range lists {
		all := unfold(list)
		for _, a := range ends {
			for _, b := range ends {
				for _, fromEnd := range []bool{false, true} {
					p := PartialRange{First: a, Last: b, FromEnd: fromEnd}
					var want []imapnum.UID
					for i, uid := range all {
						place := uint32(i + 1)
						if fromEnd {
							place = uint32(len(all) - i)
						}
						if place >= min(a, b) && place <= max(a, b) {
							want = append(want, uid)
						}
					}
					if got := unfold(p.Of(list)); !slices.Equal(got, want) {
						t.Errorf("%+v of %v: %v, want %v", p, list, got, want)
					}
					if i, j := p.In(len(all)); !slices.Equal(all[i:j], want) {
						t.Errorf("%+v of %v: %v, want %v", p, all, all[i:j], want)
					}
				}
			}
		}
	}
}

func unfold(list []imapnum.Range) []imapnum.UID {
	var all []imapnum.UID
	for _, r := range list {
		for i := range r.Len() {
			all = append(all, r.First+imapnum.UID(i))
		}
	}
	return all
}
