package wire

import "testing"

func TestContext_RFC5267_5(t *testing.T) {
	search := func(r SearchReturn) Search { return Search{Return: &r, Key: SearchAll{}} }
	check(t, map[string]Command{
		"search return (update) all":                search(SearchReturn{Update: &SearchUpdate{}}),
		"search return (CONTEXT Count) all":         search(SearchReturn{Count: true}),
		"search return (context) all":               search(SearchReturn{All: true}), // 4.2: a hint
		"search return (update context min) all":    search(SearchReturn{Min: true, Update: &SearchUpdate{}}),
		"search return (update partial 1:2) all":    search(SearchReturn{Partial: PartialRange{First: 1, Last: 2}, Update: &SearchUpdate{}}),
		"cancelupdate \"b01\" \"]\" \"\"":           CancelUpdate{Tags: []string{"b01", "]", ""}},
		"CANCELUPDATE \"b01\"":                      CancelUpdate{Tags: []string{"b01"}},
		"esearch in (selected) return (update) all": ESearch{Sources: []Source{{Filter: "SELECTED"}}, Search: Search{UID: true, Return: &SearchReturn{Update: &SearchUpdate{}}, Key: SearchAll{}}},
		// RFC 5465, 7 and 8: with the space of the example and without, as the grammar.
		"search return (update (uid flags) count) all": search(SearchReturn{Count: true, Update: &SearchUpdate{Fetch: []FetchItem{{Name: "UID"}, {Name: "FLAGS"}}}}),
		"search return (UPDATE(uid)) all":              search(SearchReturn{Update: &SearchUpdate{Fetch: []FetchItem{{Name: "UID"}}}}),
	})
}
