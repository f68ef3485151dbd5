package traffic_test

import (
	"errors"
	"testing"
	"time"

	"github.com/quorumail/quorumail/bench/traffic"
)

// idle idles until fn returns an error, and says DONE unless the server has ended it.
func idle(c *traffic.Conn, fn func(line []byte) error) error {
	p, err := c.StartIdle()
	if err != nil {
		return err
	}
	err = c.AwaitIdle(p, time.Time{}, fn)
	_, end := c.EndIdle(p)
	return errors.Join(err, end)
}

func TestIdle_RFC9051_6_3_13(t *testing.T) {
	c := connect(t, "C: T1 IDLE", "S: + idling", "S: * 1 EXISTS", "S: * 2 EXISTS",
		"C: DONE", "S: T1 OK done", "C: T2 NOOP", "S: T2 OK done")
	var got []string
	err := idle(c, func(line []byte) error {
		if got = append(got, string(line)); len(got) == 2 {
			return traffic.ErrStop
		}
		return nil
	})
	if err != nil || len(got) != 2 || got[1] != "2 EXISTS" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := c.OK("NOOP"); err != nil {
		t.Error(err)
	}
}

func TestIdle_Refused(t *testing.T) {
	c := connect(t, "C: T1 IDLE", "S: T1 BAD not now", "C: T2 NOOP", "S: T2 OK done")
	var refused *traffic.StatusError
	if err := idle(c, nil); !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
	if _, err := c.OK("NOOP"); err != nil {
		t.Error(err)
	}
}

func TestIdle_ServerEndsIt(t *testing.T) {
	c := connect(t, "C: T1 IDLE", "S: + idling", "S: T1 NO enough")
	var ended *traffic.StatusError
	if err := idle(c, nil); !errors.As(err, &ended) || ended.Status.Text != "enough" {
		t.Errorf("got %v", err)
	}
}

func TestAwaitIdle_Timeout(t *testing.T) {
	c := connect(t, "C: T1 IDLE", "S: + idling", "C: DONE", "S: * 3 EXISTS", "S: T1 OK done")
	p, err := c.StartIdle()
	if err != nil {
		t.Fatal(err)
	}
	never := func(line []byte) error { t.Errorf("got %q", line); return nil }
	for range 2 {
		if err := c.AwaitIdle(p, time.Unix(1, 0), never); !errors.Is(err, traffic.ErrIdleTimeout) {
			t.Fatalf("got %v", err)
		}
	}
	reply, err := c.EndIdle(p)
	if err != nil || len(reply.Lines) != 1 || c.Exists() != 3 {
		t.Errorf("got %+v, %v", reply, err)
	}
}

func TestAwaitIdle_CallbackErrorKeepsTheConnection(t *testing.T) {
	c := connect(t, "C: T1 IDLE", "S: + idling", "S: * 1 EXISTS", "C: DONE", "S: T1 OK done")
	p, err := c.StartIdle()
	if err != nil {
		t.Fatal(err)
	}
	odd := errors.New("odd")
	if err := c.AwaitIdle(p, time.Time{}, func([]byte) error { return odd }); !errors.Is(err, odd) {
		t.Fatalf("got %v", err)
	}
	if _, err := c.EndIdle(p); err != nil {
		t.Error(err)
	}
}
