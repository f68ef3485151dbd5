package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// askTime bounds how long another node may take to say who it is.
const askTime = time.Second

// peers asks the other nodes who they are. Safe for concurrent use.
type peers struct {
	self, cluster string
	resolve       func(node string) (addr string, ok bool)
	creds         credentials.TransportCredentials

	mu struct {
		sync.Mutex
		conns map[string]*grpc.ClientConn // by address
	}
}

// ask returns what each of the nodes says that answers, by node. The process at a
// node's address is believed if it says that it is that node.
func (p *peers) ask(ctx context.Context, nodes []string) map[string]*pb.NodeStatusResponse {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var mu sync.Mutex
	told := make(map[string]*pb.NodeStatusResponse)
	var wg sync.WaitGroup
	for _, node := range nodes {
		if node == p.self {
			continue
		}
		wg.Go(func() {
			conn, err := p.conn(node)
			if err != nil {
				return
			}
			resp, err := pb.NewAdminServiceClient(conn).NodeStatus(ctx, &pb.NodeStatusRequest{})
			if err != nil || resp.GetNodeId() != node || resp.GetServerId() != "" && resp.GetCluster() != p.cluster {
				return
			}
			if resp.GetServerId() == "" { // of a release before there were server ids
				resp.ServerId = node
			}
			mu.Lock()
			defer mu.Unlock()
			told[node] = resp
		})
	}
	wg.Wait()
	return told
}

func (p *peers) conn(node string) (*grpc.ClientConn, error) {
	addr, ok := p.resolve(node)
	if !ok {
		return nil, errors.New("address not known")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.mu.conns[addr]; c != nil {
		return c, nil
	}
	c, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(p.creds), grpc.WithConnectParams(grpc.ConnectParams{
		Backoff: quickBackoff, MinConnectTimeout: askTime,
	}))
	if err != nil {
		return nil, err
	}
	if p.mu.conns == nil {
		p.mu.conns = make(map[string]*grpc.ClientConn)
	}
	p.mu.conns[addr] = c
	return c, nil
}

func (p *peers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.mu.conns {
		_ = c.Close() // it only ends connections
	}
	p.mu.conns = nil
}

// quickBackoff finds a node that has come back within a second.
var quickBackoff = backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}
