package imapnum

import "testing"

func TestMailboxName_RFC9051_5_1(t *testing.T) {
	deep := "a"
	for range MaxMailboxDepth {
		deep += "/a"
	}
	for name, want := range map[string]string{
		"inbox": "INBOX", "iNbOx/Foo": "INBOX/Foo", "inboxes": "inboxes", "a/inbox": "a/inbox", "a b%*&": "a b%*&",
		"a\u0308": "ä", "": "", "/": "", "a/": "", "/a": "", "a//b": "", "a\x00": "", "a\nb": "", "a\u0085": "",
		"a\u2028": "", "a\u2029": "", "a\x7f": "", "\xff": "", deep: "", deep[2:]: deep[2:],
	} {
		got, ok := MailboxName(name)
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v; want %q", name, got, ok, want)
		}
	}
	if _, ok := MailboxName(string(make([]byte, MaxMailboxName+1))); ok {
		t.Error("a name that is too long")
	}
}
