//go:build unix

package node_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"

	"github.com/quorumail/quorumail/node/nodetest"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

const (
	benchBody    = 64 << 10
	benchReaders = 4
)

// BenchmarkFetchBody measures a body of 64 KiB on its way from the leader's store to the
// client library, for some readers at once; and BenchmarkBareStream what of that gRPC
// takes by itself, with a handler that answers 64 KiB from memory and a client that looks
// at nothing. Both ends are in this process.
func BenchmarkFetchBody(b *testing.B) {
	c := nodetest.Start(b, nodetest.Options{Nodes: 1, Shards: 1, Dir: b.TempDir()})
	c.CreateAccount(b, "a", "secret")
	cl := c.Client(b)
	u := login(b, cl, "a")
	text := make([]byte, benchBody)
	_, _ = rand.Read(text) // it is not compressed
	const messages = 100
	for i := range messages {
		msg := message(fmt.Sprint(i))
		msg.Email.Size += benchBody - msg.Email.Structure.Size
		msg.Email.Structure.Size = benchBody
		msg.Inline[1].RawSize, msg.Inline[1].Data = benchBody, text
		u.do(appendEntry(msg))
	}
	inBenchmark(b, func(n int) error {
		s := cl.Session("a")
		got := 0
		err := s.Fetch(context.Background(), &pb.FetchRequest{
			MailboxId: u.inbox, Uids: packed(imapnum.SetOf(imapnum.UID(n%messages + 1))), Body: pb.FetchRequest_BODY_ALL,
		}, func(r *pb.FetchResponse) error {
			got += len(r.GetChunk().GetData())
			return nil
		})
		if err == nil && got < benchBody {
			err = fmt.Errorf("%d octets", got)
		}
		return err
	})
}

// BenchmarkBareStream: see BenchmarkFetchBody.
func BenchmarkBareStream(b *testing.B) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	text := make([]byte, benchBody)
	s := grpc.NewServer(grpc.ForceServerCodecV2(octets{}), grpc.WriteBufferSize(128<<10), grpc.NumStreamWorkers(64),
		grpc.StaticStreamWindowSize(1<<20), grpc.StaticConnWindowSize(8<<20))
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "bare", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{{
		StreamName: "Fetch", ServerStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
			var request int
			if err := stream.RecvMsg(&request); err != nil {
				return err
			}
			return stream.SendMsg(&text)
		},
	}}}, struct{}{})
	done := make(chan error, 1)
	go func() { done <- s.Serve(lis) }()
	defer func() {
		s.Stop()
		<-done
	}()
	cc, err := grpc.NewClient("passthrough:///"+lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStaticStreamWindowSize(1<<20), grpc.WithStaticConnWindowSize(8<<20), grpc.WithReadBufferSize(128<<10),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(octets{})))
	if err != nil {
		b.Fatal(err)
	}
	defer cc.Close()
	request := make([]byte, 64)
	inBenchmark(b, func(int) error {
		stream, err := cc.NewStream(context.Background(), &grpc.StreamDesc{ServerStreams: true}, "/bare/Fetch")
		if err != nil {
			return err
		}
		if err := errors.Join(stream.SendMsg(&request), stream.CloseSend()); err != nil {
			return err
		}
		var got int
		if err := stream.RecvMsg(&got); err != nil || got != benchBody {
			return fmt.Errorf("%d octets, %w", got, err)
		}
		if err := stream.RecvMsg(&got); !errors.Is(err, io.EOF) {
			return fmt.Errorf("no end: %w", err)
		}
		return nil
	})
}

// octets is a codec: what is sent is octets, and of what is received only their number is
// told.
type octets struct{}

func (octets) Name() string { return "octets" }

func (octets) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (octets) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*int) = data.Len()
	return nil
}

// inBenchmark has readers call fn, with numbers that count up, and reports the processor
// time of one call.
func inBenchmark(b *testing.B, fn func(n int) error) {
	work := make(chan int, benchReaders)
	failed := make(chan error, benchReaders)
	var wg sync.WaitGroup
	for range benchReaders {
		wg.Go(func() {
			for n := range work {
				if err := fn(n); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			}
		})
	}
	before, n := processorTime(b), 0
	for b.Loop() {
		work <- n
		n++
	}
	close(work)
	wg.Wait()
	b.ReportMetric((processorTime(b)-before)/float64(n)/1e3, "cpu-µs/op")
	select {
	case err := <-failed:
		b.Fatal(err)
	default:
	}
}

// processorTime returns that of this process in nanoseconds.
func processorTime(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano() + u.Stime.Nano())
}
