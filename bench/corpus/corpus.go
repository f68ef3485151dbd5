// Package corpus makes realistic mail: for demonstrations, for load and for
// tests.
//
// A corpus is a function of its seed: message i is the same octets every time, on
// every machine. Messages come in threads, with References and Re: subjects; they
// are plain text, alternatives with HTML, with files attached, with pictures
// inline, forward another message, or report that one could not be delivered. Headers
// and bodies are in several languages, charsets and transfer encodings. Most are of a few
// KiB, some of hundreds, none above a bound. Each is valid RFC 5322 and MIME.
//
// Nothing is taken from anywhere: all names and texts are made up, and all
// addresses are of domains that belong to nobody (RFC 2606).
package corpus

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	// DefaultMaxSize is the bound of a message if none is set.
	DefaultMaxSize = 1 << 20
	// minMaxSize is the least bound that texts can keep without being cut.
	minMaxSize = 64 << 10
	// minSize is what every message has at least.
	minSize = 1 << 10
)

// Corpus makes messages. It is safe for concurrent use once its fields are set.
type Corpus struct {
	// MaxSize bounds messages, in octets; below 64 KiB it is 64 KiB.
	MaxSize int
	// Period is over how many messages the years from 2021 to 2026 are spread; then
	// they begin again. Default 2,004; it is rounded up to whole blocks of threads.
	Period int

	seed uint64
}

// New returns the corpus of a seed.
func New(seed uint64) *Corpus {
	return &Corpus{MaxSize: DefaultMaxSize, Period: 167 * block, seed: seed}
}

// Message returns message i, from 0.
func (c *Corpus) Message(i int) []byte {
	var b bytes.Buffer
	c.message(i, false).write(&b)
	return b.Bytes()
}

// The time over which messages are spread.
const (
	firstDay = 1609750800 // 2021-01-04 09:00:00 UTC
	lastDay  = 1793260800 // 2026-10-29 08:00:00 UTC
)

// Date returns when message i was sent: later than message i-1, unless that is
// the last of a period.
func (c *Corpus) Date(i int) time.Time {
	period := max(1, (c.Period+block-1)/block) * block
	step := max(2, (lastDay-firstDay)/period)
	at := firstDay + i%period*step + c.rand(i, streamDate).IntN(step-1)
	zone := c.thread(i).language.zone
	return time.Unix(int64(at), 0).In(time.FixedZone("", zone*3600))
}

// Streams of random numbers: each use has its own, so that what one draws does
// not change another.
const (
	streamMessage = iota
	streamDate
	streamThread
	streamBlock
)

func (c *Corpus) rand(i, stream int) *rand.Rand {
	return rand.New(rand.NewPCG(c.seed, uint64(i)<<3|uint64(stream)))
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// id is the Message-ID of message i.
func (c *Corpus) id(i int) string {
	return fmt.Sprintf("%x.%x@mail.example.net", c.rand(i, streamMessage).Uint32(), i)
}

// message makes message i. A short one is a text without anything attached.
func (c *Corpus) message(i int, short bool) entity {
	r := c.rand(i, streamMessage)
	t := c.thread(i)
	w := &writer{c: c, r: r, t: t, limit: max(c.MaxSize, minMaxSize)}
	var e entity
	if short {
		e = w.text("plain", w.letter(400))
	} else {
		e = w.body()
	}
	e.fields = append(w.header(i, e.eightBit), e.fields...)
	return e
}
