package wire

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-imap/v2"
)

// printer prints commands as a client would: what it prints of a parsed command
// parses to the same again.
type printer struct {
	strings.Builder
	utf8 bool
}

// printCommand prints a command without its tag and line end; an APPEND up to
// its first literal's announcement.
func printCommand(cmd Command, utf8 bool) string {
	p := &printer{utf8: utf8}
	p.command(cmd)
	return p.String()
}

func (p *printer) words(w ...string) { p.WriteString(strings.Join(w, " ")) }

func (p *printer) str(s string) {
	if strings.ContainsAny(s, "\r\n") || len(s) > 200 || !utf8.ValidString(s) {
		fmt.Fprintf(p, "{%d+}\r\n%s", len(s), s)
		return
	}
	p.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`)
}

func (p *printer) mailbox(s string) {
	if !p.utf8 {
		s = EncodeMailbox(s)
	}
	p.str(s)
}

// list prints n items in parentheses.
func (p *printer) list(n int, item func(i int)) {
	p.WriteByte('(')
	for i := range n {
		if i > 0 {
			p.WriteByte(' ')
		}
		item(i)
	}
	p.WriteByte(')')
}

func (p *printer) wordList(words []string) {
	p.list(len(words), func(i int) { p.WriteString(words[i]) })
}

func (p *printer) set(s NumSet) {
	if s.Saved {
		p.WriteByte('$')
	}
	num := func(n uint32) string {
		if n == 0 {
			return "*"
		}
		return fmt.Sprint(n)
	}
	for i, r := range s.Ranges {
		if i > 0 {
			p.WriteByte(',')
		}
		p.WriteString(num(r.Start))
		if r.Stop != r.Start {
			p.WriteString(":" + num(r.Stop))
		}
	}
}

func (p *printer) uid(uid bool) {
	if uid {
		p.WriteString("uid ")
	}
}

func (p *printer) command(cmd Command) {
	switch c := cmd.(type) {
	case Capability, Noop, Logout, StartTLS, Namespace, Idle, Close, Unselect, Check, Unauthenticate:
		p.WriteString(strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", c), "wire.")))
	case SetMetadata, GetMetadata:
		p.metadata(c)
	case SetACL, DeleteACL, GetACL, ListRights, MyRights:
		p.acl(c)
	case Sort:
		p.sort(c)
	case Thread:
		p.uid(c.UID)
		p.words("thread", c.Algorithm)
		p.WriteByte(' ')
		p.str(c.Charset)
		p.WriteByte(' ')
		p.searchKeys(c.Key)
	case GetQuota, GetQuotaRoot, SetQuota:
		p.quota(c)
	case ID:
		p.id(c)
	case Login:
		p.WriteString("login ")
		p.str(c.User)
		p.WriteByte(' ')
		p.str(c.Password)
	case Authenticate:
		p.words("authenticate", c.Mechanism)
		if c.Initial != nil {
			p.WriteString(" ")
			if len(c.Initial) == 0 {
				p.WriteByte('=')
			}
			p.WriteString(base64.StdEncoding.EncodeToString(c.Initial))
		}
	case Enable:
		p.words(append([]string{"enable"}, c.Capabilities...)...)
	case Select:
		p.selectCommand(c)
	case Create:
		p.WriteString("create ")
		p.mailbox(c.Mailbox)
		if c.SpecialUse != nil {
			p.WriteString(" (use ")
			p.wordList(c.SpecialUse)
			p.WriteByte(')')
		}
	case Delete:
		p.WriteString("delete ")
		p.mailbox(c.Mailbox)
	case Rename:
		p.WriteString("rename ")
		p.mailbox(c.From)
		p.WriteByte(' ')
		p.mailbox(c.To)
	case Subscribe:
		if c.Unsubscribe {
			p.WriteString("un")
		}
		p.WriteString("subscribe ")
		p.mailbox(c.Mailbox)
	case List:
		p.listCommand(c)
	case Compress:
		p.WriteString("compress " + c.Algorithm)
	case Status:
		p.WriteString("status ")
		p.mailbox(c.Mailbox)
		p.WriteByte(' ')
		p.statusItems(c.Items)
	case Append:
		p.WriteString("append ")
		p.mailbox(c.Mailbox)
		p.appendMessage(c.First)
	default:
		p.messageCommand(cmd)
	}
}

// messageCommand prints the commands of the selected state.
func (p *printer) messageCommand(cmd Command) {
	switch c := cmd.(type) {
	case Expunge:
		p.uid(c.UIDs != nil)
		p.WriteString("expunge")
		if c.UIDs != nil {
			p.WriteByte(' ')
			p.set(*c.UIDs)
		}
	case Search:
		p.search(c)
	case ESearch:
		p.esearch(c)
	case CancelUpdate:
		p.WriteString("cancelupdate")
		for _, tag := range c.Tags {
			p.WriteString(" \"" + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(tag) + `"`)
		}
	case Notify:
		p.notify(c)
	case Fetch:
		p.fetch(c)
	case Store:
		p.store(c)
	case Copy:
		p.uid(c.UID)
		name := "copy "
		if c.Move {
			name = "move "
		}
		p.WriteString(name)
		p.set(c.Set)
		p.WriteByte(' ')
		p.mailbox(c.Mailbox)
	case Replace:
		p.uid(c.UID)
		p.WriteString("replace ")
		p.set(NumSet{Ranges: []NumRange{{c.Num, c.Num}}})
		p.WriteByte(' ')
		p.mailbox(c.Mailbox)
		p.appendMessage(c.Message)
	default:
		fmt.Fprintf(p, "<%T>", cmd)
	}
}

func (p *printer) id(c ID) {
	if c.Fields == nil {
		p.WriteString("id nil")
		return
	}
	var pairs []string
	for k, v := range c.Fields {
		pairs = append(pairs, k, v)
	}
	p.WriteString("id ")
	p.list(len(pairs), func(i int) { p.str(pairs[i]) })
}

func (p *printer) selectCommand(c Select) {
	name := "select "
	if c.ReadOnly {
		name = "examine "
	}
	p.WriteString(name)
	p.mailbox(c.Mailbox)
	var params []string
	if c.CondStore {
		params = append(params, "condstore")
	}
	if q := c.QResync; q != nil {
		s := fmt.Sprintf("qresync (%d %d", q.UIDValidity, q.ModSeq)
		if q.KnownUIDs != nil {
			s += " " + uidRanges(q.KnownUIDs)
		}
		if q.MatchUIDs != nil {
			var seqs imap.UIDSet
			for _, r := range q.MatchSeqs {
				seqs = append(seqs, imap.UIDRange{Start: imap.UID(r.Start), Stop: imap.UID(r.Stop)})
			}
			s += " (" + uidRanges(seqs) + " " + uidRanges(q.MatchUIDs) + ")"
		}
		params = append(params, s+")")
	}
	if params != nil {
		p.WriteByte(' ')
		p.wordList(params)
	}
}

// uidRanges prints a set as it is, not in its shortest form.
func uidRanges(set imap.UIDSet) string {
	var parts []string
	for _, r := range set {
		parts = append(parts, fmt.Sprintf("%d:%d", r.Start, r.Stop))
	}
	return strings.Join(parts, ",")
}

// pattern prints a pattern; one that is of no name as what cannot be decoded.
func (p *printer) pattern(s string) {
	if s == noPattern {
		p.WriteString("&")
		return
	}
	p.mailbox(s)
}

func (p *printer) listCommand(c List) {
	if c.LSUB {
		p.WriteString("lsub ")
	} else {
		p.WriteString("list ")
	}
	if c.Extended {
		var opts []string
		for name, on := range map[string]bool{"subscribed": c.Select.Subscribed, "remote": c.Select.Remote,
			"recursivematch": c.Select.RecursiveMatch, "special-use": c.Select.SpecialUse} {
			if on {
				opts = append(opts, name)
			}
		}
		p.wordList(opts)
		p.WriteByte(' ')
	}
	p.mailbox(c.Reference)
	p.WriteByte(' ')
	if !c.Extended {
		p.pattern(c.Patterns[0])
		return
	}
	p.list(len(c.Patterns), func(i int) { p.pattern(c.Patterns[i]) })
	var opts []string
	for name, on := range map[string]bool{"subscribed": c.Return.Subscribed, "children": c.Return.Children, "special-use": c.Return.SpecialUse, "myrights": c.Return.MyRights} {
		if on {
			opts = append(opts, name)
		}
	}
	p.WriteString(" return (" + strings.Join(opts, " "))
	if c.Return.Status != nil {
		if opts != nil {
			p.WriteByte(' ')
		}
		p.WriteString("status ")
		p.statusItems(c.Return.Status)
	}
	if c.Return.Metadata != nil {
		if opts != nil || c.Return.Status != nil {
			p.WriteByte(' ')
		}
		p.WriteString("metadata ")
		p.list(len(c.Return.Metadata), func(i int) { p.str(c.Return.Metadata[i]) })
	}
	p.WriteByte(')')
}

func (p *printer) statusItems(items []StatusItem) {
	p.list(len(items), func(i int) { p.WriteString(string(items[i])) })
}

func (p *printer) appendMessage(m AppendMessage) {
	if m.Flags != nil {
		p.WriteByte(' ')
		p.wordList(m.Flags)
	}
	if !m.Date.IsZero() {
		p.WriteString(m.Date.Format(` "_2-Jan-2006 15:04:05 -0700"`))
	}
	p.WriteByte(' ')
	if m.Catenate {
		p.WriteString("catenate (")
		return
	}
	if m.Literal.UTF8 {
		p.WriteString("utf8 (")
	}
	if m.Literal.Binary {
		p.WriteByte('~')
	}
	plus := ""
	if m.Literal.NonSync {
		plus = "+"
	}
	fmt.Fprintf(p, "{%d%s}", m.Literal.Size, plus)
}

func (p *printer) store(c Store) {
	p.uid(c.UID)
	p.WriteString("store ")
	p.set(c.Set)
	if c.UnchangedSince != nil {
		fmt.Fprintf(p, " (unchangedsince %d)", *c.UnchangedSince)
	}
	p.WriteString(map[imap.StoreFlagsOp]string{imap.StoreFlagsSet: " ", imap.StoreFlagsAdd: " +", imap.StoreFlagsDel: " -"}[c.Op] + "flags")
	if c.Silent {
		p.WriteString(".silent")
	}
	p.WriteByte(' ')
	p.wordList(c.Flags)
}

func (p *printer) fetch(c Fetch) {
	p.uid(c.UID)
	p.WriteString("fetch ")
	p.set(c.Set)
	p.WriteByte(' ')
	p.list(len(c.Items), func(i int) { p.fetchItem(c.Items[i]) })
	var mods []string
	if c.ChangedSince != nil {
		mods = append(mods, fmt.Sprintf("changedsince %d", *c.ChangedSince))
	}
	if c.Vanished {
		mods = append(mods, "vanished")
	}
	if c.Partial.First != 0 {
		mods = append(mods, "partial "+partialText(c.Partial))
	}
	if mods != nil {
		p.WriteByte(' ')
		p.wordList(mods)
	}
}

func (p *printer) fetchItem(item FetchItem) {
	s := item.Section
	switch {
	case s == nil:
		p.WriteString(item.Name)
		return
	case item.Name == "BINARY.SIZE":
		p.WriteString(item.Name)
	case s.Label == "BODY" || s.Label == "BINARY":
		p.WriteString(s.Label)
		if s.Peek {
			p.WriteString(".peek")
		}
	default:
		p.WriteString(s.Label)
		return
	}
	p.WriteByte('[')
	var dots []string
	for _, n := range s.Part {
		dots = append(dots, fmt.Sprint(n))
	}
	if s.Specifier != "" {
		dots = append(dots, s.Specifier)
	}
	p.WriteString(strings.Join(dots, "."))
	if s.Fields != nil {
		p.WriteByte(' ')
		p.list(len(s.Fields), func(i int) { p.str(s.Fields[i]) })
	}
	p.WriteByte(']')
	if s.Partial != nil {
		fmt.Fprintf(p, "<%d.%d>", s.Partial.Offset, s.Partial.Length)
	}
}
