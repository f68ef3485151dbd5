package message

import (
	"strings"
	"testing"
)

func TestJoinParams_RFC2231_RFC9051_7_5_2(t *testing.T) {
	for field, want := range map[string]string{
		"a/b; x=1; y=2": "X=1|Y=2",
		"a/b; baz*0=one; baz*1=\" two\"; baz*2=3; z=4":        "BAZ=one two3|Z=4",
		"a/b; baz*1=two; z=4; baz*0=one":                      "BAZ=onetwo|Z=4",
		"a/b; foo*0*=utf-8'en'%C3%A4; foo*1*=%C3%B6; foo*2=%": "FOO*=äö%",
		"a/b; foo*=iso-8859-1''%e4x":                          "FOO*=äx",
		"a/b; foo*=''plain":                                   "FOO*=plain",
		"a/b; foo=fallback; foo*=utf-8''%E2%82%AC":            "FOO=fallback|FOO*=€",
		"a/b; foo*=plain":                                     "FOO*=plain",
		"a/b; foo*=utf-8''%ff":                                "FOO*=utf-8''%ff",
		"a/b; foo*=x-none''%41":                               "FOO*=x-none''%41",
		"a/b; foo*1=b; foo*2=c":                               "FOO*1=b|FOO*2=c",
		"a/b; foo*0=a; foo*2=c":                               "FOO=a",
		"a/b; foo*0=a; foo*1*=%41":                            "FOO=a",
		"a/b; *0=a":                                           "=a",
		"a/b; foo*=utf-8''100%; x=%41":                        "FOO*=100%|X=%41",
	} {
		_, params := valueAndParams([]byte(field))
		var got []string
		for _, p := range params {
			got = append(got, string(p.GetName())+"="+string(p.GetValue()))
		}
		if text := strings.Join(got, "|"); text != want {
			t.Errorf("%s: %s, want %s", field, text, want)
		}
	}
}
