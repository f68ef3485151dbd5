package dovecot

import (
	"os"
	"strings"
	"testing"
)

func TestFiles(t *testing.T) {
	s := &Server{cfg: Config{Dir: t.TempDir(), Users: map[string]string{"u1": "pw", "a@b": "x"}}, port: 1234}
	s.owner = owner{internal: "me", internalGroup: "us", login: "me", mail: "me", mailGroup: "us", firstValidUser: "1000"}
	if err := s.files(); err != nil {
		t.Fatal(err)
	}
	conf := read(t, s.configFile())
	for _, want := range []string{
		"base_dir = " + s.cfg.Dir + "/run\n", "port = 1234\n", "mail_location = sdbox:", "listen = 127.0.0.1\n", "chroot =\n",
		"default_process_limit = 1024\n",
	} {
		if !strings.Contains(conf, want) {
			t.Errorf("the configuration lacks %q:\n%s", want, conf)
		}
	}
	if strings.Contains(conf, "mail_fsync") {
		t.Error("fsync is not Dovecot's default")
	}
	if got, want := read(t, s.cfg.Dir+"/users"), "a@b:x\nu1:pw\n"; got != want {
		t.Errorf("users: got %q, want %q", got, want)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestConfigValidate(t *testing.T) {
	good := Config{Dir: "/tmp/x", Users: map[string]string{"u": "p"}}
	if err := good.Validate(); err != nil {
		t.Errorf("a good configuration: %v", err)
	}
	for name, c := range map[string]Config{
		"relative":     {Dir: "x", Users: good.Users},
		"injection":    {Dir: "/tmp/x\nssl = yes", Users: good.Users},
		"no users":     {Dir: "/tmp/x"},
		"user's name":  {Dir: "/tmp/x", Users: map[string]string{"u:v": "p"}},
		"path in name": {Dir: "/tmp/x", Users: map[string]string{"../u": "p"}},
		"password":     {Dir: "/tmp/x", Users: map[string]string{"u": "p\nroot:x"}},
		"clients":      {Dir: "/tmp/x", Users: good.Users, Clients: -1},
	} {
		if c.Validate() == nil {
			t.Errorf("%s: not refused", name)
		}
	}
}
