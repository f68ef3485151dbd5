package session

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/quorumail/quorumail/imapfront/view"
	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// searched is where a search looks: what the numbers in its criteria are of.
type searched struct {
	store Store
	view  *view.View
	saved imapnum.Set
	// recent are UIDs that are \Recent, whether or not they are there.
	recent imapnum.Set
	// last is the UID that "*" stands for; 0: there is no message.
	last imapnum.UID
}

func (b *mailbox) searched() searched {
	return searched{store: b.store, view: b.view, saved: b.saved, recent: b.recent, last: b.view.UIDs().Max()}
}

// esearch is ESEARCH (RFC 7377).
func (c *Conn) esearch(ctx context.Context, cmd wire.ESearch) error {
	isSelected := func(s wire.Source) bool { return s.Filter == "SELECTED" }
	alone := !slices.ContainsFunc(cmd.Sources, func(s wire.Source) bool { return !isSelected(s) })
	switch {
	case c.box == nil && (alone || slices.ContainsFunc(cmd.Sources, isSelected)):
		return c.wrongState("select a mailbox first")
	case c.box == nil && cmd.Search.Return.Update != nil:
		return c.wrongState("UPDATE is for the selected mailbox, and none is")
	case cmd.Search.Return.Save && !alone:
		return c.bad("", "SAVE is for a search of the selected mailbox alone")
	case c.charsetClashes(cmd.Search):
		return c.bad("", charsetClash)
	case alone:
		return c.searchSelected(ctx, cmd.Search, true)
	}
	decode, ok := decoder(cmd.Search.Charset)
	if !ok {
		return c.no("BADCHARSET (US-ASCII UTF-8)", "unknown charset")
	}
	// What is wrong with the criteria is wrong wherever they are looked for.
	t := &translator{c: c, in: searched{store: c.store, view: view.New(imapnum.Set{}, 0)}, decode: decode}
	t.key(cmd.Search.Key)
	if t.err != "" {
		return c.bad("", t.err)
	}
	if t.modSeq {
		c.enableCondstore()
	}
	targets, err := c.targets(ctx, cmd.Sources)
	if err != nil {
		return c.fail("ESEARCH", err)
	}
	p := &progress{c: c, total: len(targets)}
	for i, target := range targets {
		p.done = i
		if target.selected {
			err = c.esearchSelected(ctx, cmd.Search, p)
		} else {
			err = c.esearchOther(ctx, cmd.Search, decode, target, p)
		}
		switch {
		case errors.Is(err, errAnswered):
			return nil
		case noTarget(target.at, err):
			continue // gone meanwhile, or not for this client: it must not be told which
		case err != nil:
			return c.fail("ESEARCH", err)
		}
		if err := c.w.Flush(); err != nil {
			return err
		}
	}
	if cmd.Search.Return.Update != nil && !slices.ContainsFunc(targets, func(t target) bool { return t.selected }) {
		c.refuseUpdate(c.tag) // it is of the selected mailbox only, which was not searched
	}
	if c.box != nil {
		c.tell(mayExpunge(!keyNamesNumbers(cmd.Search.Key)))
		return c.done("ESEARCH done")
	}
	return c.ok("", "ESEARCH done")
}

// errAnswered says that a command has been answered and is over.
var errAnswered = errors.New("answered")

// target is a mailbox that ESEARCH searches.
type target struct {
	selected bool
	at       place
	name     string // as this connection names it
	info     *pb.MailboxInfo
}

// targets returns the mailboxes that sources name, each once. What there is not is
// passed over: that must not be told from what the client may not see (RFC 7377,
// 2.2 and 5).
func (c *Conn) targets(ctx context.Context, sources []wire.Source) ([]target, error) {
	l, err := c.store.ListMailboxes(ctx)
	if err != nil {
		return nil, err
	}
	f := filtersOf(sources)
	if err := c.withOthers(ctx, wire.List{Patterns: f.patterns(l.GetSubscriptions())}, l); err != nil {
		return nil, err
	}
	selected := f.selected
	var all []target
	if selected {
		all = append(all, target{selected: true})
	}
	for _, e := range hierarchy(l) {
		if e.info == nil || !f.match(e) {
			continue
		}
		delete(f.mailboxes, e.name)
		at := c.at(e.name)
		switch {
		case !c.selects(at, e.info.GetId()):
			all = append(all, target{at: at, name: e.name, info: e.info})
		case !selected:
			selected = true
			all = append(all, target{selected: true})
		}
	}
	return c.namedOnly(ctx, f, all)
}

// namedOnly adds other users' mailboxes that are named themselves and are not
// listed: those can be searched that may be read and not seen (RFC 7377, 2.2).
func (c *Conn) namedOnly(ctx context.Context, f filters, all []target) ([]target, error) {
	for _, name := range slices.Sorted(maps.Keys(f.mailboxes)) {
		at := c.at(name)
		if at.owner == "" {
			continue
		}
		opened, err := at.store.OpenMailbox(ctx, at.name, 0, nil, nil)
		switch {
		case noTarget(at, err) || err == nil && c.selects(at, opened.GetInfo().GetId()) && f.selected:
			continue
		case err != nil:
			return nil, err
		}
		all = append(all, target{selected: c.selects(at, opened.GetInfo().GetId()), at: at, name: name, info: opened.GetInfo()})
	}
	return all, nil
}

// noTarget reports whether an error says that there is no such mailbox for the
// client.
func noTarget(at place, err error) bool {
	return errors.Is(err, client.ErrNoMailbox) || errors.Is(err, client.ErrNoPermission) ||
		at.owner != "" && errors.Is(err, client.ErrNoAccount)
}

// filters are source options, each name looked up at once.
type filters struct {
	selected                     bool
	personal, subscribed         bool // all of the connection's own; all subscribed
	mailboxes, subtrees, parents map[string]bool
}

func filtersOf(sources []wire.Source) filters {
	f := filters{mailboxes: make(map[string]bool), subtrees: make(map[string]bool), parents: make(map[string]bool)}
	for _, s := range sources {
		names := f.mailboxes
		switch s.Filter {
		case "SELECTED":
			f.selected = true
		case "PERSONAL", "INBOXES":
			// Mail may be delivered to any mailbox: then both are the same (RFC 5465,
			// 6.3).
			f.personal = true
		case "SUBSCRIBED":
			f.subscribed = true
		case "SUBTREE":
			names = f.subtrees
		case "SUBTREE-ONE":
			names = f.parents
		}
		for _, name := range s.Mailboxes {
			names[strings.TrimSuffix(name, "/")] = true
		}
	}
	return f
}

// patterns returns LIST patterns of which all names are that the filters match, if
// they are of other users' mailboxes.
func (f filters) patterns(subscriptions []string) []string {
	var list []string
	for name := range f.mailboxes {
		list = append(list, name)
	}
	for _, names := range []map[string]bool{f.subtrees, f.parents} {
		for name := range names {
			list = append(list, name, name+"/*")
		}
	}
	if f.subscribed {
		list = append(list, subscriptions...)
	}
	return slices.DeleteFunc(list, func(name string) bool { return !strings.HasPrefix(name, others) })
}

func (f filters) match(e *entry) bool {
	if f.personal && e.name != others && !strings.HasPrefix(e.name, othersPrefix) || f.subscribed && e.subscribed || f.mailboxes[e.name] || f.parents[e.name] {
		return true
	}
	if e.parent != nil && f.parents[e.parent.name] {
		return true
	}
	for p := e; p != nil; p = p.parent {
		if f.subtrees[p.name] {
			return true
		}
	}
	return false
}

// esearchSelected searches the selected mailbox, as one of several.
func (c *Conn) esearchSelected(ctx context.Context, cmd wire.Search, p *progress) error {
	req, err := c.criteria(ctx, "ESEARCH", cmd.Charset, cmd.Key, cmd.Return)
	if req == nil {
		return cmp.Or(err, errAnswered)
	}
	wantsAny(req)
	res, err := during(ctx, p, c.box.store.Search, req)
	if err == nil {
		err = c.searchedAt(ctx, res.GetMailboxModSeq())
	}
	if err != nil {
		return err
	}
	f := foundOf(res, req, cmd.Return)
	c.tellFoundIn(cmd, f, c.box.name, c.box.uidValidity)
	c.keep(cmd, true, f.uids, imapnum.ModSeq(res.GetMailboxModSeq()))
	return nil
}

// esearchOther searches a mailbox that is not selected. Message sequence numbers
// are those that it has now; the saved result is of none of its messages.
func (c *Conn) esearchOther(ctx context.Context, cmd wire.Search, decode func(string) (string, bool), in target, p *progress) error {
	if in.info.GetExists() == 0 {
		return nil
	}
	t := &translator{c: c, in: searched{store: in.at.store, view: view.New(imapnum.Set{}, 0), recent: c.untold(in.info)}, decode: decode}
	if namesPlaces(cmd.Key) {
		opened, err := in.at.store.OpenMailbox(ctx, "", in.info.GetId(), nil, nil)
		if err != nil {
			return err
		}
		t.in.view = view.New(unpacked(opened.GetUids()), imapnum.ModSeq(opened.GetInfo().GetHighestModSeq()))
		t.in.last = t.in.view.UIDs().Max()
	}
	req := &pb.SearchRequest{MailboxId: in.info.GetId(), Key: t.key(cmd.Key), Part: partOf(cmd.Return)}
	wantsAny(req)
	res, err := during(ctx, p, in.at.store.Search, req)
	if err != nil {
		return err
	}
	c.tellFoundIn(cmd, foundOf(res, req, cmd.Return), in.name, in.info.GetUidValidity())
	return nil
}

// wantsAny makes a search for a page also say whether there is anything at all: a
// mailbox without a match is not told of, one without matches on the page is (RFC
// 7377, 2.1).
func wantsAny(req *pb.SearchRequest) {
	if p := req.GetPart(); p.GetFirst() > 1 {
		p.Only = false
	}
}

// tellFoundIn prints the result in a mailbox, if there is any (RFC 7377, 2.1).
func (c *Conn) tellFoundIn(cmd wire.Search, f found, mailbox string, uidValidity uint32) {
	if f.uids.Empty() || *cmd.Return == (wire.SearchReturn{Save: true}) {
		return
	}
	c.w.ESearch(wire.ESearchResult{
		Tag: c.tag, UID: true, Mailbox: mailbox, UIDValidity: uidValidity, Return: *cmd.Return,
		Found: f.uids.Ranges(), Partial: f.part.Ranges(), ModSeq: f.modSeq,
	})
}

// namesPlaces reports whether a criterion depends on which messages there are:
// whether it has message sequence numbers or "*".
func namesPlaces(key wire.SearchKey) bool {
	switch key := key.(type) {
	case wire.SearchNums:
		return !key.Set.Saved
	case wire.SearchUIDs:
		return slices.ContainsFunc(key.Set.Ranges, func(r wire.NumRange) bool { return r.Start == 0 || r.Stop == 0 })
	case wire.SearchAnd:
		return slices.ContainsFunc(key, namesPlaces)
	case wire.SearchOr:
		return namesPlaces(key.A) || namesPlaces(key.B)
	case wire.SearchNot:
		return namesPlaces(key.Key)
	}
	return false
}
