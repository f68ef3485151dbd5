package load

import (
	"context"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/quorumail/quorumail/bench/traffic"
)

// Sample is what one round of a scenario measured.
type Sample struct {
	// Figure is what the scenario is about, in its unit.
	Figure float64
	// Ops is how many operations were done in Elapsed.
	Ops     int64
	Elapsed time.Duration
	// Latency is that of each operation, in microseconds.
	Latency *hdrhistogram.Histogram
	// Note is told beside the figure; often empty.
	Note string
}

// newHistogram holds latencies from 1 µs to 10 minutes with three digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, (10 * time.Minute).Microseconds(), 3)
}

// record adds a latency; one beyond the range counts as the range's end.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	us := min(max(d.Microseconds(), 1), h.HighestTrackableValue())
	// It fails only beyond the range.
	_ = h.RecordValue(us)
}

// milliseconds returns a percentile of h.
func milliseconds(h *hdrhistogram.Histogram, percentile float64) float64 {
	return float64(h.ValueAtQuantile(percentile)) / 1000
}

// bound ends a round after so much time or so many operations, whichever is
// first.
type bound struct {
	d   time.Duration
	ops int64
}

// opFunc does one operation of a client; n counts the client's operations.
type opFunc func(ctx context.Context, c *traffic.Conn, client, n int) error

// closedLoop lets each connection do operations, one after the other, all at the
// same time: what many clients who wait for their answers can get.
func closedLoop(ctx context.Context, conns []*traffic.Conn, b bound, op opFunc) (Sample, error) {
	hists := make([]*hdrhistogram.Histogram, len(conns))
	share := (b.ops + int64(len(conns)) - 1) / int64(len(conns))
	start := time.Now()
	err := parallel(ctx, len(conns), len(conns), func(ctx context.Context, i int) error {
		h := newHistogram()
		hists[i] = h
		for n := 0; int64(n) < share && ctx.Err() == nil; n++ {
			t0 := time.Now()
			if t0.Sub(start) >= b.d {
				break
			}
			if err := op(ctx, conns[i], i, n); err != nil {
				return fmt.Errorf("client %d, operation %d: %w", i, n, err)
			}
			record(h, time.Since(t0))
		}
		return nil
	})
	s := Sample{Elapsed: time.Since(start), Latency: newHistogram()}
	for _, h := range hists {
		if h != nil {
			s.Latency.Merge(h)
		}
	}
	s.Ops = s.Latency.TotalCount()
	if err == nil && s.Ops == 0 {
		err = fmt.Errorf("no operation was done in %v", s.Elapsed)
	}
	return s, err
}

// perSecond is the rate of operations.
func (s *Sample) perSecond() float64 { return float64(s.Ops) / s.Elapsed.Seconds() }
