package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// nodeTimeout is how long an operator waits for one node, which may be dead.
const nodeTimeout = 5 * time.Second

// cluster is an operator's access to each node of a cluster by itself, where
// node/client reaches shards wherever they are.
type cluster struct {
	m     *pb.ClusterMap
	conns map[string]*grpc.ClientConn // by node id
}

// dialCluster learns the map from the first of addrs that tells it.
func dialCluster(ctx context.Context, addrs []string, creds credentials.TransportCredentials) (*cluster, error) {
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	var errs []error
	for _, addr := range addrs {
		m, err := getMap(ctx, addr, creds)
		if err != nil {
			errs = append(errs, fmt.Errorf("node at %s: %w", addr, err))
			continue
		}
		c := &cluster{m: m, conns: make(map[string]*grpc.ClientConn)}
		for _, n := range m.GetNodes() {
			conn, err := grpc.NewClient(n.GetAddress(), grpc.WithTransportCredentials(creds))
			if err != nil {
				c.close()
				return nil, fmt.Errorf("node %s: %w", n.GetId(), err)
			}
			c.conns[n.GetId()] = conn
		}
		return c, nil
	}
	return nil, fmt.Errorf("no node knows the cluster: %w", errors.Join(errs...))
}

func getMap(ctx context.Context, addr string, creds credentials.TransportCredentials) (*pb.ClusterMap, error) {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
	defer cancel()
	resp, err := pb.NewDirectoryServiceClient(conn).GetMap(ctx, &pb.GetMapRequest{})
	if err != nil {
		return nil, err
	}
	return resp.GetMap(), nil
}

func (c *cluster) close() {
	for _, conn := range c.conns {
		conn.Close()
	}
}

// admin is the operator's service of one node.
func (c *cluster) admin(id string) (pb.AdminServiceClient, error) {
	conn, ok := c.conns[id]
	if !ok {
		return nil, fmt.Errorf("node %s: not in the map", id)
	}
	return pb.NewAdminServiceClient(conn), nil
}

// nodeReport is what one node says of itself, or why it says nothing.
type nodeReport struct {
	id, address string
	replicas    []*pb.ReplicaStatus
	err         error
}

// status asks all nodes at once, and answers in the map's order.
func (c *cluster) status(ctx context.Context) []nodeReport {
	reports := make([]nodeReport, len(c.m.GetNodes()))
	var wg sync.WaitGroup
	for i, n := range c.m.GetNodes() {
		wg.Go(func() {
			r := nodeReport{id: n.GetId(), address: n.GetAddress()}
			ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
			defer cancel()
			admin, err := c.admin(n.GetId())
			if err == nil {
				var resp *pb.NodeStatusResponse
				if resp, err = admin.NodeStatus(ctx, &pb.NodeStatusRequest{}); err == nil {
					r.replicas = resp.GetReplicas()
				}
			}
			r.err = err
			reports[i] = r
		})
	}
	wg.Wait()
	return reports
}

// leader returns the node that says it leads a shard, in the highest term if
// several do; empty if none does.
func leader(reports []nodeReport, shard uint32) string {
	var id string
	var term uint64
	for _, n := range reports {
		for _, r := range n.replicas {
			if r.GetShard() == shard && r.GetRole() == "leader" && r.GetTerm() >= term {
				id, term = n.id, r.GetTerm()
			}
		}
	}
	return id
}

// shardOf returns the shard that holds a slot; 0 if none does.
func shardOf(m *pb.ClusterMap, slot uint32) uint32 {
	for _, s := range m.GetShards() {
		for _, r := range s.GetSlots() {
			if r.GetFirst() <= slot && slot <= r.GetLast() {
				return s.GetId()
			}
		}
	}
	return 0
}
