package traffic_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/quorumail/quorumail/bench/traffic"
)

// greeting is the first line of scripts that are about something else.
const greeting = "S: * OK [CAPABILITY IMAP4rev1 LITERAL+ MULTIAPPEND] hello"

// dial connects to a server that follows a script: "S: line" is sent, "C: line"
// is expected. Lines end with CRLF and may have more in them. At the script's end
// the server waits for the client to close.
func dial(t *testing.T, script ...string) (*traffic.Conn, error) {
	return dialWith(t.Context(), t, traffic.Dialer{Timeout: 5 * time.Second}, script...)
}

func dialWith(ctx context.Context, t *testing.T, d traffic.Dialer, script ...string) (*traffic.Conn, error) {
	t.Helper()
	client, server := net.Pipe()
	done := make(chan struct{})
	t.Cleanup(func() {
		client.Close()
		server.Close()
		<-done
	})
	go func() {
		defer close(done)
		play(t, server, script)
	}()
	return d.New(ctx, client)
}

// connect is dial for a script that begins well.
func connect(t *testing.T, script ...string) *traffic.Conn {
	t.Helper()
	c, err := dial(t, append([]string{greeting}, script...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func play(t *testing.T, nc net.Conn, script []string) {
	r := bufio.NewReader(nc)
	for i, step := range script {
		side, text, _ := strings.Cut(step, ": ")
		switch side {
		case "S":
			if _, err := nc.Write([]byte(text + "\r\n")); err != nil {
				return // the client has had enough
			}
		case "RAW":
			if _, err := nc.Write([]byte(text)); err != nil {
				return
			}
		case "C":
			got, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if got != text+"\r\n" {
				t.Errorf("step %d: the client sent %q, want %q", i, got, text)
			}
		case "EOF":
			nc.Close()
			return
		default:
			t.Errorf("script: %q", step)
		}
	}
	r.ReadByte() // until the client closes
}

// wantRule checks that err is a violation whose rule has the words.
func wantRule(t *testing.T, err error, words string) {
	t.Helper()
	var broken *traffic.ProtocolError
	if !errors.As(err, &broken) {
		t.Fatalf("got %v, want a ProtocolError about %q", err, words)
	}
	if !strings.Contains(broken.Rule, words) {
		t.Fatalf("rule %q, want one about %q", broken.Rule, words)
	}
}
