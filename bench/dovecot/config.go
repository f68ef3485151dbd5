package dovecot

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// Config says how a Dovecot is run.
type Config struct {
	// Dir keeps everything. It must exist, be empty or of an earlier Server of the
	// same owner, and stand on the disk that is to be measured.
	Dir string
	// Users are names and their passwords.
	Users map[string]string
	// Clients is how many connections are allowed at a time, from one address too;
	// 0 means 1,024.
	Clients int
	// Metadata serves METADATA (RFC 5464), which costs and is off by default.
	Metadata bool
}

// Validate says what is wrong with the configuration, or nil.
func (c *Config) Validate() error {
	switch {
	case !filepath.IsAbs(c.Dir):
		return fmt.Errorf("dovecot: directory %q: want an absolute path", c.Dir)
	case strings.ContainsAny(c.Dir, " \t\n\"%$#{}"):
		return fmt.Errorf("dovecot: directory %q: characters that mean something in its configuration", c.Dir)
	case len(c.Users) == 0:
		return errors.New("dovecot: no users")
	case c.Clients < 0:
		return errors.New("dovecot: clients: want at least 0")
	}
	for name, password := range c.Users {
		if name == "" || strings.ContainsAny(name, "/: \t\n") || strings.ContainsAny(password, ":\n") {
			return fmt.Errorf("dovecot: user %q: characters that its password file cannot hold", name)
		}
	}
	return nil
}

// owner is as whom the processes run.
type owner struct {
	root           bool
	internal       string // talks to mail processes
	internalGroup  string
	login          string // talks to clients that are not authenticated
	mail           string // owns mail
	mailUID        int
	mailGroup      string
	mailGID        int
	firstValidUser string
}

// findOwner chooses the users from who we are.
func findOwner() (owner, error) {
	if os.Geteuid() == 0 {
		return owner{
			root: true, internal: "dovecot", internalGroup: "dovecot", login: "dovenull",
			mail: "nobody", mailUID: 65534, mailGroup: "nogroup", mailGID: 65534, firstValidUser: "1",
		}, nil
	}
	u, err := user.Current()
	if err != nil {
		return owner{}, err
	}
	g, err := user.LookupGroupId(u.Gid)
	if err != nil {
		return owner{}, err
	}
	return owner{
		internal: u.Username, internalGroup: g.Name, login: u.Username,
		mail: u.Username, mailUID: os.Geteuid(), mailGroup: g.Name, mailGID: os.Getegid(), firstValidUser: u.Uid,
	}, nil
}

// settings are Dovecot's: all that differs from its defaults, and why.
var settings = template.Must(template.New("dovecot.conf").Parse(`# Written for one run; changes are lost.
base_dir = {{.Dir}}/run
state_dir = {{.Dir}}/state
log_path = {{.Dir}}/dovecot.log
listen = 127.0.0.1
protocols = imap
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain

mail_location = sdbox:~/sdbox
mail_uid = {{.Owner.mail}}
mail_gid = {{.Owner.mailGroup}}
first_valid_uid = {{.Owner.firstValidUser}}

default_internal_user = {{.Owner.internal}}
default_internal_group = {{.Owner.internalGroup}}
default_login_user = {{.Owner.login}}

# The defaults allow 100 processes and 10 connections from an address: limits of
# courtesy, not of speed. A mailbox of a million messages needs address space.
default_process_limit = {{.Clients}}
default_client_limit = {{.AuthClients}}
default_vsz_limit = 4G
mail_max_userip_connections = {{.Clients}}

passdb {
  driver = passwd-file
  args = scheme=plain username_format=%u {{.Dir}}/users
}
userdb {
  driver = static
  args = uid={{.Owner.mail}} gid={{.Owner.mailGroup}} home={{.Dir}}/mail/%u
}
namespace inbox {
  inbox = yes
  separator = /
}
{{- if .Metadata}}
mail_attribute_dict = file:%h/attributes
protocol imap {
  imap_metadata = yes
}
{{- end}}
service imap-login {
  process_limit = {{.Clients}}
{{- if not .Owner.root}}
  chroot =
{{- end}}
  inet_listener imap {
    port = {{.Port}}
  }
  inet_listener imaps {
    port = 0
  }
}
service imap {
  process_limit = {{.Clients}}
}
service anvil {
{{- if not .Owner.root}}
  chroot =
{{- end}}
  client_limit = {{.AuthClients}}
}
service auth {
  client_limit = {{.AuthClients}}
}
service stats {
  client_limit = {{.AuthClients}}
}
`))

// files writes what Dovecot reads: its configuration and its users.
func (s *Server) files() error {
	var sb strings.Builder
	clients := s.cfg.Clients
	if clients == 0 {
		clients = 1024
	}
	o := s.owner
	err := settings.Execute(&sb, map[string]any{
		"Dir": s.cfg.Dir, "Metadata": s.cfg.Metadata, "Port": s.port,
		"Clients": clients, "AuthClients": 3*clients + 100,
		"Owner": map[string]any{
			"root": o.root, "internal": o.internal, "internalGroup": o.internalGroup, "login": o.login,
			"mail": o.mail, "mailGroup": o.mailGroup, "firstValidUser": o.firstValidUser,
		},
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.configFile(), []byte(sb.String()), 0o644); err != nil {
		return err
	}
	var users []string
	for name, password := range s.cfg.Users {
		users = append(users, name+":"+password+"\n")
	}
	slices.Sort(users)
	file := filepath.Join(s.cfg.Dir, "users")
	if err := os.WriteFile(file, []byte(strings.Join(users, "")), 0o640); err != nil {
		return err
	}
	if !o.root {
		return nil
	}
	u, err := user.Lookup(o.internal)
	if err != nil {
		return err
	}
	return chown(file, u)
}
