package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/credentials"

	"github.com/quorumail/quorumail/node/client"
)

// adminFlags say how operators reach the cluster.
type adminFlags struct {
	process *processFlags
	nodes   []string
	timeout time.Duration
	tls     clusterTLS
}

func newAdmin(process *processFlags) *cobra.Command {
	flags := &adminFlags{process: process}
	cmd := &cobra.Command{
		Use:   "admin",
		Short: "Manage accounts and look after a cluster",
		Args:  groupArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	pf := cmd.PersistentFlags()
	pf.StringSliceVar(&flags.nodes, "nodes", []string{"127.0.0.1:7000"}, "`addresses` of storage nodes, with commas; one that answers is enough")
	pf.DurationVar(&flags.timeout, "timeout", 30*time.Second, "give up after this `duration`")
	flags.tls.addFlags(pf)
	cmd.AddCommand(newAdminUser(flags), newAdminQuota(flags), newAdminLocate(flags), newAdminStatus(flags), newAdminVerify(flags), newAdminTransfer(flags))
	return cmd
}

// Validate says what is wrong with the flags, or nil.
func (f *adminFlags) Validate() error {
	if len(f.nodes) == 0 {
		return errors.New("--nodes: want at least one address")
	}
	if f.timeout <= 0 {
		return fmt.Errorf("--timeout %v: want more than nothing", f.timeout)
	}
	return f.tls.Validate()
}

// start checks the flags, and returns the context and the credentials that a
// command works with.
func (f *adminFlags) start(cmd *cobra.Command) (context.Context, context.CancelFunc, credentials.TransportCredentials, error) {
	if err := f.Validate(); err != nil {
		return nil, nil, nil, usage(err)
	}
	_, creds, err := f.tls.credentials()
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, cancel := context.WithTimeoutCause(cmd.Context(), f.timeout, fmt.Errorf("no answer in %v", f.timeout))
	return ctx, cancel, creds, nil
}

// withClient runs fn with a client of the cluster, the one that frontends use.
func (f *adminFlags) withClient(cmd *cobra.Command, fn func(context.Context, *client.Client) error) error {
	ctx, cancel, creds, err := f.start(cmd)
	if err != nil {
		return err
	}
	defer cancel()
	c, err := client.New(client.Config{Nodes: f.nodes, TLS: creds})
	if err != nil {
		return err
	}
	defer c.Close()
	return fn(ctx, c)
}

// withCluster runs fn with connections to each node of the cluster.
func (f *adminFlags) withCluster(cmd *cobra.Command, fn func(context.Context, *cluster) error) error {
	ctx, cancel, creds, err := f.start(cmd)
	if err != nil {
		return err
	}
	defer cancel()
	c, err := dialCluster(ctx, f.nodes, creds)
	if err != nil {
		return err
	}
	defer c.close()
	return fn(ctx, c)
}
