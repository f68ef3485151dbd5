package session

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Annotations (RFC 5464). Those of a mailbox, and the private ones of the server,
// are the account's and kept by storage; the shared ones of the server are this
// frontend's configuration, the same for all, and cannot be set.

// setMetadata is SETMETADATA (RFC 5464, 4.3).
func (c *Conn) setMetadata(ctx context.Context, cmd wire.SetMetadata) error {
	at := c.at(cmd.Mailbox) // of the server's: the connection's own account
	op := &pb.SetMetadataOp{Mailbox: at.name}
	for _, e := range cmd.Entries {
		name := strings.ToLower(e.Name)
		if cmd.Mailbox == "" && isShared(name) {
			return c.no("NOPERM", "the server's shared annotations cannot be set")
		}
		op.Entries = append(op.Entries, &pb.MetadataEntry{Name: name, Value: e.Value})
	}
	res, err := at.store.Propose(ctx, &pb.Entry{Op: &pb.Entry_SetMetadata{SetMetadata: op}})
	switch {
	case err != nil:
		return c.fail("SETMETADATA", err)
	case res.GetCode() == pb.Code_CODE_LIMIT:
		return c.no("METADATA TOOMANY", res.GetDetail())
	case res.GetCode() != pb.Code_CODE_OK:
		return c.refused(res)
	}
	c.ownMetadata(ctx, at, res.GetModSeq(), op)
	return c.ok("", "SETMETADATA done")
}

func isShared(name string) bool { return strings.HasPrefix(name, "/shared/") }

// getMetadata is GETMETADATA (RFC 5464, 4.2). What is named and has no value is
// told as NIL, unless it is named for what is below it.
func (c *Conn) getMetadata(ctx context.Context, cmd wire.GetMetadata) error {
	entries, spelled := entryNames(cmd.Names)
	at := c.at(cmd.Mailbox) // of the server's: the connection's own account
	req := &pb.GetMetadataRequest{Mailbox: at.name, Entries: entries, Depth: cmd.Depth, MaxSize: cmd.MaxSize}
	resp, err := at.store.Metadata(ctx, req, true)
	if err != nil {
		return c.fail("GETMETADATA", err)
	}
	var found []*pb.MetadataEntry
	for _, m := range resp.GetMailboxes() {
		found = append(found, m.GetEntries()...)
	}
	longest := resp.GetLongest()
	if cmd.Mailbox == "" {
		shared, most := c.serverMetadata(req)
		found, longest = append(found, shared...), max(longest, most)
	}
	// A name without an entry: of those that are too large nothing is told.
	nilFor := req.GetEntries()
	if cmd.Depth > 0 {
		nilFor = nil
	}
	if longest > 0 && len(nilFor) > 0 {
		if nilFor, err = c.withoutValue(ctx, at.store, req, found); err != nil {
			return c.fail("GETMETADATA", err)
		}
	}
	c.w.Metadata(cmd.Mailbox, entriesOf(found, nilFor, spelled))
	if longest > 0 {
		return c.ok("METADATA LONGENTRIES "+uitoa(longest), "GETMETADATA done")
	}
	return c.ok("", "GETMETADATA done")
}

// entryNames returns names of entries as they are stored, each once, and how the
// client spells each.
func entryNames(names []string) (entries []string, spelled map[string]string) {
	spelled = make(map[string]string, len(names))
	for _, name := range names {
		lower := strings.ToLower(name)
		if _, again := spelled[lower]; !again {
			entries = append(entries, lower)
		}
		spelled[lower] = name
	}
	return entries, spelled
}

// entriesOf returns annotations as the client spells their names, and NIL for
// those of nilFor that are not among them.
func entriesOf(found []*pb.MetadataEntry, nilFor []string, spelled map[string]string) []wire.MetadataEntry {
	byName := make(map[string]bool, len(found))
	var list []wire.MetadataEntry
	add := func(name string, value []byte) {
		byName[name] = true
		if s, ok := spelled[name]; ok {
			name = s
		}
		list = append(list, wire.MetadataEntry{Name: name, Value: value})
	}
	for _, e := range found {
		value := e.GetValue()
		if value == nil {
			value = []byte{} // of no octets, which is not NIL
		}
		add(e.GetName(), value)
	}
	for _, name := range nilFor {
		if !byName[name] {
			add(name, nil)
		}
	}
	return list
}

// withoutValue returns the names that have no value at all, when there are some
// whose value is too large.
func (c *Conn) withoutValue(ctx context.Context, store Store, req *pb.GetMetadataRequest, found []*pb.MetadataEntry) ([]string, error) {
	resp, err := store.Metadata(ctx, &pb.GetMetadataRequest{Mailbox: req.GetMailbox(), Entries: req.GetEntries(), NamesOnly: true}, false)
	if err != nil {
		return nil, err
	}
	there := make(map[string]bool)
	for _, m := range resp.GetMailboxes() {
		for _, e := range m.GetEntries() {
			there[e.GetName()] = true
		}
	}
	for _, e := range found {
		there[e.GetName()] = true
	}
	var none []string
	for _, name := range req.GetEntries() {
		_, configured := c.cfg.Metadata[name]
		if !there[name] && !(req.GetMailbox() == "" && configured) {
			none = append(none, name)
		}
	}
	return none, nil
}

// serverMetadata returns the server's shared annotations that are asked for, and
// the octets of the largest one that is too large.
func (c *Conn) serverMetadata(req *pb.GetMetadataRequest) (list []*pb.MetadataEntry, longest uint64) {
	for _, name := range slices.Sorted(maps.Keys(c.cfg.Metadata)) {
		value := c.cfg.Metadata[name]
		switch {
		case !asked(req, name):
		case req.MaxSize != nil && uint64(len(value)) > *req.MaxSize:
			longest = max(longest, uint64(len(value)))
		default:
			list = append(list, &pb.MetadataEntry{Name: name, Value: []byte(value)})
		}
	}
	return list, longest
}

// asked reports whether an entry is one of those that a request names, or as
// many levels below one as it wants.
func asked(req *pb.GetMetadataRequest, name string) bool {
	for _, want := range req.GetEntries() {
		below, ok := strings.CutPrefix(name, want)
		if ok && (below == "" || below[0] == '/' && uint32(strings.Count(below, "/")) <= req.GetDepth()) {
			return true
		}
	}
	return false
}

// listedMetadata reads the annotations that LIST is to return (RFC 9590) and
// returns what tells those of a mailbox of l.
func (c *Conn) listedMetadata(ctx context.Context, names []string, l *pb.ListMailboxesResponse) (func(*pb.MailboxInfo), error) {
	entries, spelled := entryNames(names)
	req := &pb.GetMetadataRequest{All: true, Entries: entries}
	type key struct {
		owner string
		id    uint64
	}
	byID := make(map[key][]*pb.MetadataEntry)
	asked := make(map[string]bool)
	for _, info := range l.GetMailboxes() {
		at := c.at(info.GetName())
		if asked[at.owner] {
			continue
		}
		asked[at.owner] = true
		resp, err := at.store.Metadata(ctx, req, true)
		if errors.Is(err, client.ErrNoMailbox) {
			continue // the account is gone since it was listed
		}
		if err != nil {
			return nil, err
		}
		for _, m := range resp.GetMailboxes() {
			byID[key{at.owner, m.GetMailboxId()}] = m.GetEntries()
		}
	}
	return func(info *pb.MailboxInfo) {
		// RFC 5464, 3.3; that there are none is told with the same rights.
		if rightsOn(info).MayAnnotate() {
			c.w.Metadata(info.GetName(), entriesOf(byID[key{c.at(info.GetName()).owner, info.GetId()}], req.GetEntries(), spelled))
		}
	}, nil
}
