package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// quotaUnit is the unit of limits on storage, in octets (RFC 9208, 5.1).
const quotaUnit = 1024

// quotaFlags are the limits of an account on the command line.
type quotaFlags struct{ storage, messages, mailboxes string }

func (q *quotaFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&q.storage, "storage", "", "`size` of all messages, as 500M or 2G, or none")
	flags.StringVar(&q.messages, "messages", "", "`number` of messages in all mailboxes, or none")
	flags.StringVar(&q.mailboxes, "mailboxes", "", "`number` of mailboxes, INBOX among them, or none")
}

// parse returns the limits, and the resources that were named.
func (q *quotaFlags) parse(flags *pflag.FlagSet) (*pb.QuotaLimits, []pb.QuotaResource, error) {
	limits := &pb.QuotaLimits{}
	var named []pb.QuotaResource
	for _, one := range []struct {
		flag, value string
		resource    pb.QuotaResource
		field       **uint64
		parse       func(string) (uint64, error)
	}{
		{"storage", q.storage, pb.QuotaResource_QUOTA_RESOURCE_STORAGE, &limits.Storage, parseUnits},
		{"messages", q.messages, pb.QuotaResource_QUOTA_RESOURCE_MESSAGE, &limits.Messages, parseCount},
		{"mailboxes", q.mailboxes, pb.QuotaResource_QUOTA_RESOURCE_MAILBOX, &limits.Mailboxes, parseCount},
	} {
		if !flags.Changed(one.flag) {
			continue
		}
		named = append(named, one.resource)
		if one.value == "none" {
			continue
		}
		n, err := one.parse(one.value)
		if err != nil {
			return nil, nil, usage(fmt.Errorf("--%s %q: %w", one.flag, one.value, err))
		}
		*one.field = &n
	}
	return limits, named, nil
}

func parseCount(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, errors.New(`want a number below 2^63, or "none"`)
	}
	return n, nil
}

// parseUnits reads a size with a unit, and returns units of 1024 octets.
func parseUnits(s string) (uint64, error) {
	bad := errors.New(`want a number with K, M, G or T behind it, as 500M, or "none"`)
	if s == "" {
		return 0, bad
	}
	i := strings.IndexByte("KMGT", s[len(s)-1]&^0x20)
	if s == "0" {
		return 0, nil // which needs no unit
	}
	if i < 0 {
		return 0, bad
	}
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 63)
	if err != nil || n > math.MaxInt64>>(10*i) {
		return 0, bad
	}
	return n << (10 * i), nil
}

func newAdminQuota(flags *adminFlags) *cobra.Command {
	var given quotaFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "quota NAME",
		Short: "Show and set what an account may hold",
		Long: `Shows what an account holds and what it may hold at most; sets the limits that are
given, and leaves the others.

A limit can be set below what the account holds: nothing is removed, but nothing
can be added until there is room.`,
		Example: `  quorumail admin quota alice@example.org
  quorumail admin quota alice@example.org --storage 5G --messages none`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := imapnum.AccountName(args[0])
			if err != nil {
				return usage(fmt.Errorf("%q: %w", args[0], err))
			}
			limits, named, err := given.parse(cmd.Flags())
			if err != nil {
				return err
			}
			return flags.withClient(cmd, func(ctx context.Context, c *client.Client) error {
				q, err := adminQuota(ctx, c.Session(name), limits, named)
				if err != nil {
					return fmt.Errorf("quota: %s: %w", name, err)
				}
				return printQuota(cmd.OutOrStdout(), q, asJSON)
			})
		},
	}
	given.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// adminQuota sets the limits that are named, if any, and returns the quota.
func adminQuota(ctx context.Context, s *client.Session, limits *pb.QuotaLimits, named []pb.QuotaResource) (*pb.Quota, error) {
	if len(named) > 0 {
		err := mutate(ctx, s, &pb.Entry{Op: &pb.Entry_SetQuota{SetQuota: &pb.SetQuotaOp{Limits: limits, Only: named}}})
		if err != nil {
			return nil, err
		}
	}
	a, err := s.GetAccount(ctx)
	return a.GetQuota(), err
}

// quotaJSON is what "admin quota --json" prints. Fields are only ever added.
type quotaJSON struct {
	// Octets are exact; the limit is in units of 1024 of them.
	Octets    uint64  `json:"octets"`
	Messages  uint64  `json:"messages"`
	Mailboxes uint64  `json:"mailboxes"`
	Storage   *uint64 `json:"storage_limit"`
	MaxMails  *uint64 `json:"messages_limit"`
	MaxBoxes  *uint64 `json:"mailboxes_limit"`
}

func printQuota(w io.Writer, q *pb.Quota, asJSON bool) error {
	l := client.QuotaLimits(q)
	if asJSON {
		return json.NewEncoder(w).Encode(quotaJSON{
			Octets: q.GetOctets(), Messages: q.GetMessages(), Mailboxes: q.GetMailboxes(),
			Storage: l.Storage, MaxMails: l.Messages, MaxBoxes: l.Mailboxes,
		})
	}
	limit := func(n *uint64, unit string) string {
		if n == nil {
			return "none"
		}
		return fmt.Sprint(*n, unit)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "RESOURCE\tUSED\tLIMIT")
	fmt.Fprintf(tw, "storage\t%dK\t%s\n", (q.GetOctets()+quotaUnit-1)/quotaUnit, limit(l.Storage, "K"))
	fmt.Fprintf(tw, "messages\t%d\t%s\n", q.GetMessages(), limit(l.Messages, ""))
	fmt.Fprintf(tw, "mailboxes\t%d\t%s\n", q.GetMailboxes(), limit(l.Mailboxes, ""))
	return tw.Flush()
}
