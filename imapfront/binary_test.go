package imapfront_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/quorumail/quorumail/imapfront"
	"github.com/quorumail/quorumail/node/nodetest"
)

// A part that is too large to be held in memory is appended with its NUL octets,
// and fetched with them, whole and in part; nothing is left on disk.
func TestBinaryOfLargeParts_RFC3516_4(t *testing.T) {
	cluster := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	cluster.CreateAccount(t, "alice@example.org", "secret")
	dir := t.TempDir()
	addr, _ := front(t, cluster, func(cfg *imapfront.Config) { cfg.SpoolDir = dir })
	content := bytes.Repeat([]byte("0123456789abcde\xff"), 150_000) // 2.4 MB
	content[1_000_000] = 0
	mail := "Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n" + string(content)
	got := talk(t, addr, fmt.Sprintf("a login alice@example.org secret\r\nb append inbox ~{%d+}\r\n%s\r\nc select inbox\r\n", len(mail), mail)+
		"d fetch 1 binary.size[1]\r\ne fetch 1 binary.peek[1]\r\nf fetch 1 binary.peek[1]<0.1000000>\r\ng fetch 1 binary.peek[1]<999999.1500000>\r\nz logout\r\n")
	for _, want := range []string{
		"BINARY.SIZE[1] 2400000)",
		"BINARY[1] ~{2400000}\r\n" + string(content) + ")",
		"BINARY[1]<0> {1000000}\r\n" + string(content[:1_000_000]) + ")",
		"BINARY[1]<999999> ~{1400001}\r\n" + string(content[999_999:]) + ")",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%.40q is missing", want)
		}
	}
	if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
		t.Errorf("left on disk: %v, %v", left, err)
	}
	// Without a place to keep it, it is refused; others are not.
	addr, _ = front(t, cluster, func(cfg *imapfront.Config) { cfg.SpoolDir = dir + "/missing" })
	plain := strings.ReplaceAll(mail, "\x00", "x")
	got = talk(t, addr, fmt.Sprintf("a login alice@example.org secret\r\nb append inbox ~{%d+}\r\n%s\r\nc append inbox ~{%d+}\r\n%s\r\nz logout\r\n",
		len(mail), mail, len(plain), plain))
	if !strings.Contains(got, "b NO ") || !strings.Contains(got, "c OK [APPENDUID ") {
		t.Errorf("%q", got)
	}
}
