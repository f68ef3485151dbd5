package imapnum

import "testing"

func TestRights_RFC4314_2_1_1(t *testing.T) {
	for _, test := range []struct{ in, plain, told string }{
		{"", "", ""},
		{"lr", "lr", "lr"},
		{"lrswida", "lrswitea", "lrswitead"},
		{"lrswikda", "lrswiktea", "lrswikteacd"},
		{"c", "kx", "kxc"},
		{"cx", "kx", "kxc"},
		{"x", "x", "xc"},
		{"e", "e", "ed"},
		{"aetxkpiwsrl", "lrswipkxtea", "lrswipkxteacd"},
	} {
		r, err := ParseRights(test.in)
		if err != nil || r.String() != test.plain || r.Told() != test.told || !r.Valid() {
			t.Errorf("%q: %q, told %q, %v", test.in, r.String(), r.Told(), err)
		}
	}
	for _, bad := range []string{"lrQ", "q", "L", "n", "0", "l r", "ä", "-l"} {
		if _, err := ParseRights(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if r, _ := ParseRights("lrswipkxtea"); r != AllRights {
		t.Errorf("all are %q", Rights(AllRights))
	}
	if (AllRights << 1 & ^Rights(AllRights)).Valid() {
		t.Error("a bit without a letter is valid")
	}
}

func TestIdentifiers(t *testing.T) {
	for id, ok := range map[string]bool{
		"bob@example.org": true, "anyone": true, "-bob": true, "-anyone": true, "$team": true,
		"": false, "-": false, "Bob": false, "a b": false, "a/b": false, "--bob": true, "\xff": false,
	} {
		if ValidIdentifier(id) != ok {
			t.Errorf("%q: %v", id, !ok)
		}
	}
}
