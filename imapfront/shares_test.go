package imapfront_test

import "testing"

// noted returns who bob's account knows to share mailboxes with it.
func (s *shares) noted() []string {
	s.t.Helper()
	l, err := s.c.Client(s.t).Session(s.bob).ListMailboxes(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return l.GetSharedBy()
}

// Who grants rights leaves a note in the other account, of which LIST makes use;
// only who may grant leaves any. A LIST that finds nothing forgets it.
func TestSharesAreNotedAndForgotten_RFC2342_5(t *testing.T) {
	s := newShares(t)
	s.run(`2 ok create a
2 no [NONEXISTENT] setacl nowhere $bob lr
2 ok setacl a anyone lr
2 ok setacl a -$bob lr
2 ok setacl a $bob -w
2 ok setacl a $bob ""
`)
	if list := s.noted(); len(list) != 0 {
		t.Errorf("noted without a grant: %q", list)
	}
	s.run(`2 ok setacl a $bob lrk
2 ok setacl a nobody@example.org lr
`)
	if list := s.noted(); len(list) != 1 || list[0] != s.alice {
		t.Errorf("noted: %q", list)
	}
	s.run(`2 ok deleteacl a $bob
2 ok deleteacl INBOX $bob
2 ok deleteacl a -$bob
1 ok list "" "*"
...
`)
	if list := s.noted(); len(list) != 1 { // anyone may look a up
		t.Errorf("noted: %q", list)
	}
	s.run(`2 ok deleteacl a anyone
1 ok list "" "INBOX"
* LIST (\HasNoChildren) "/" INBOX
`)
	if list := s.noted(); len(list) != 1 { // no pattern led there
		t.Errorf("noted: %q", list)
	}
	s.run(`1 ok list "" "*"
* LIST (\HasNoChildren) "/" INBOX
`)
	if list := s.noted(); len(list) != 0 {
		t.Errorf("noted still: %q", list)
	}
	s.run(`2 ok setacl a $bob +lr
1 ok list "" "*"
* LIST (\HasNoChildren) "/" INBOX
* LIST (\HasNoChildren) "/" "Other Users/$alice/a"
`)
}
