package imapnum

import "testing"

func TestMetadataName_RFC5464_3_2(t *testing.T) {
	for name, want := range map[string]string{
		"/private/comment": "/private/comment", "/Shared/COMMENT": "/shared/comment", "/shared/a b/c": "/shared/a b/c",
		"/private/vendor/x/y": "/private/vendor/x/y", "/private/vendors": "/private/vendors", "/private/\x1a": "/private/\x1a",
		"": "", "/": "", "private/comment": "", "/comment": "", "/private": "", "/private/": "", "/private//a": "", "//private/a": "",
		"/privates/a": "", "/private/a/": "", "/private/*": "", "/private/%": "", "/private/\x7f\x80": "", "/private/\x19": "", "/private/\x00": "",
		"/private/vendor": "", "/private/VENDOR/x": "", "/shared/vendor/x": "",
	} {
		if got, ok := MetadataName(name); ok != (want != "") || ok && got != want {
			t.Errorf("%q is %q, %v", name, got, ok)
		}
	}
	for name, ok := range map[string]bool{"/private": true, "/SHARED/vendor": true, "/shared/vendor/x": true, "/private/": false, "/other": false} {
		if _, got := MetadataPath(name); got != ok {
			t.Errorf("%q is a level: %v", name, got)
		}
	}
}
