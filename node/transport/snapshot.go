package transport

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

const snapshotPiece = 256 << 10

var errCut = errors.New("cut by a test")

// castagnoli is made by the standard library once; its table is constant.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// watchdog cancels a transfer that makes no progress.
type watchdog struct {
	timer *time.Timer
	d     time.Duration
}

func newWatchdog(d time.Duration, cancel context.CancelFunc) *watchdog {
	return &watchdog{timer: time.AfterFunc(d, cancel), d: d}
}

func (w *watchdog) progress() { w.timer.Reset(w.d) }
func (w *watchdog) stop()     { w.timer.Stop() }

// InstallSnapshot implements raft.Transport. args.Size is not looked at: a
// state is streamed as it is read, so its size is known at its end only, where
// it is sent with a checksum.
func (g *Group) InstallSnapshot(id raft.ServerID, _ raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	peer := string(id)
	conn, err := g.mux.dial(peer)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnreachable, peer, err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(g.ctx)
	defer cancel()
	w := newWatchdog(g.mux.cfg.SnapshotTimeout, cancel)
	defer w.stop()
	stream, err := pb.NewRaftTransportServiceClient(conn).InstallSnapshot(g.mux.outgoing(ctx, peer))
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnreachable, peer, err)
	}
	if err := g.sendSnapshot(stream, peer, args, data, w); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("transport: snapshot to %s: %w", peer, err)
	}
	// After io.EOF of a send the reason is had by receiving.
	r, err := stream.CloseAndRecv()
	if err != nil {
		return fmt.Errorf("transport: snapshot to %s: %w", peer, err)
	}
	*resp = raft.InstallSnapshotResponse{RPCHeader: header(peer), Term: r.Term, Success: r.Success}
	return nil
}

func (g *Group) sendSnapshot(stream pb.RaftTransportService_InstallSnapshotClient, peer string, args *raft.InstallSnapshotRequest, data io.Reader, w *watchdog) error {
	send := func(m *pb.InstallSnapshotRequest) error {
		drop, delay := g.mux.cfg.Faults.on(g.mux.cfg.NodeID, peer)
		if drop {
			return errCut
		}
		if delay > 0 {
			if err := sleepUntil(stream.Context(), time.Now().Add(delay)); err != nil {
				return err
			}
		}
		if err := stream.Send(m); err != nil {
			return err
		}
		w.progress()
		return nil
	}
	err := send(&pb.InstallSnapshotRequest{Header: &pb.SnapshotHeader{
		Group: g.id, Term: args.Term, LastLogIndex: args.LastLogIndex, LastLogTerm: args.LastLogTerm,
		Configuration: args.Configuration, ConfigurationIndex: args.ConfigurationIndex,
		SnapshotVersion: uint32(args.SnapshotVersion),
	}})
	if err != nil {
		return err
	}
	table, sum, size := castagnoli(), uint32(0), uint64(0)
	for {
		buf := make([]byte, snapshotPiece) // gRPC may hold on to it
		n, err := io.ReadFull(data, buf)
		if n > 0 {
			sum = crc32.Update(sum, table, buf[:n])
			size += uint64(n)
			if err := send(&pb.InstallSnapshotRequest{Data: buf[:n]}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return send(&pb.InstallSnapshotRequest{End: &pb.SnapshotEnd{Size: size, Crc32C: sum}})
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
	}
}

// InstallSnapshot implements pb.RaftTransportServiceServer.
func (s *server) InstallSnapshot(stream pb.RaftTransportService_InstallSnapshotServer) error {
	peer, err := s.m.caller(stream.Context())
	if err != nil {
		return err
	}
	if err := s.m.enter(); err != nil {
		return err
	}
	defer s.m.leave()
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	req, err := decodeSnapshot(first.Header, peer)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	g := s.m.group(first.Header.Group)
	if g == nil {
		return status.Error(codes.NotFound, "no replica of the group here")
	}
	r, err := s.m.receive(stream, g, req)
	if err != nil {
		return err
	}
	if drop, _ := s.m.cfg.Faults.on(s.m.cfg.NodeID, peer); drop {
		return status.Error(codes.Unavailable, errCut.Error())
	}
	return stream.SendAndClose(&pb.InstallSnapshotResponse{Term: r.Term, Success: r.Success})
}

func decodeSnapshot(h *pb.SnapshotHeader, from string) (*raft.InstallSnapshotRequest, error) {
	if h == nil {
		return nil, errors.New("no header")
	}
	if h.SnapshotVersion != uint32(raft.SnapshotVersionMax) {
		return nil, fmt.Errorf("snapshot version %d", h.SnapshotVersion)
	}
	if err := checkConfiguration(h.Configuration); err != nil {
		return nil, err
	}
	return &raft.InstallSnapshotRequest{
		RPCHeader: header(from), Leader: []byte(from), SnapshotVersion: raft.SnapshotVersionMax,
		Term: h.Term, LastLogIndex: h.LastLogIndex, LastLogTerm: h.LastLogTerm,
		Configuration: h.Configuration, ConfigurationIndex: h.ConfigurationIndex,
	}, nil
}

// receive hands a snapshot to its group while it comes in. The library reads
// from a pipe; when it has answered, or the group or node stops, the pipe is
// closed, so that nothing waits for ever on either side of it.
func (m *Mux) receive(stream pb.RaftTransportService_InstallSnapshotServer, g *Group, req *raft.InstallSnapshotRequest) (*raft.InstallSnapshotResponse, error) {
	pr, pw := io.Pipe()
	replies := make(chan raft.RPCResponse, 1)
	select {
	case g.inbox <- raft.RPC{Command: req, Reader: pr, RespChan: replies}:
	default:
		return nil, status.Error(codes.Unavailable, "replica is busy")
	}
	var wg sync.WaitGroup
	var resp raft.RPCResponse
	wg.Go(func() {
		select {
		case resp = <-replies:
		case <-g.ctx.Done():
			resp.Error = ErrClosed
		case <-stream.Context().Done():
			resp.Error = stream.Context().Err()
		}
		_ = pr.CloseWithError(io.ErrClosedPipe)
	})
	err := m.copySnapshot(stream, req, pw)
	_ = pw.CloseWithError(err) // nil: the end of the file
	if err != nil && !errors.Is(err, io.ErrClosedPipe) {
		// The library may still be reading; it fails now, and so does its reply.
		wg.Wait()
		return nil, status.Error(codes.Aborted, err.Error())
	}
	wg.Wait()
	if resp.Error != nil {
		return nil, status.Error(codes.Aborted, resp.Error.Error())
	}
	r, ok := resp.Response.(*raft.InstallSnapshotResponse)
	if !ok {
		return nil, status.Error(codes.Internal, "unexpected reply")
	}
	return r, nil
}

// copySnapshot writes what comes to w. The library asks for the size before and
// compares it when it has read all: req is its own request, so the size is put
// there once it is known, before the pipe tells it of the end.
func (m *Mux) copySnapshot(stream pb.RaftTransportService_InstallSnapshotServer, req *raft.InstallSnapshotRequest, w io.Writer) error {
	table, sum, size := castagnoli(), uint32(0), uint64(0)
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if e := msg.End; e != nil {
			if e.Size != size || e.Crc32C != sum {
				return errors.New("checksum mismatch")
			}
			req.Size = int64(size)
			return nil
		}
		sum = crc32.Update(sum, table, msg.Data)
		size += uint64(len(msg.Data))
		if _, err := w.Write(msg.Data); err != nil {
			return err
		}
	}
}
