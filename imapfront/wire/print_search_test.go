package wire

import (
	"fmt"
	"strings"
	"time"
)

func (p *printer) search(c Search) {
	p.uid(c.UID)
	p.WriteString("search ")
	p.searchProgram(c)
}

func (p *printer) esearch(c ESearch) {
	p.WriteString("esearch ")
	if c.Sources != nil {
		p.WriteString("in ")
		p.list(len(c.Sources), func(i int) {
			p.WriteString(c.Sources[i].Filter)
			if names := c.Sources[i].Mailboxes; names != nil {
				p.WriteByte(' ')
				p.list(len(names), func(i int) { p.mailbox(names[i]) })
			}
		})
		p.WriteByte(' ')
	}
	p.searchProgram(c.Search)
}

func (p *printer) searchProgram(c Search) {
	p.searchReturn(c.Return)
	if c.Charset != "" {
		p.WriteString("charset ")
		p.str(c.Charset)
		p.WriteByte(' ')
	}
	p.searchKeys(c.Key)
}

func (p *printer) searchReturn(r *SearchReturn) {
	if r == nil {
		return
	}
	var opts []string
	for name, on := range map[string]bool{"min": r.Min, "max": r.Max, "all": r.All, "count": r.Count, "save": r.Save} {
		if on {
			opts = append(opts, name)
		}
	}
	if r.Partial.First != 0 {
		opts = append(opts, "partial "+partialText(r.Partial))
	}
	if r.Update != nil {
		var items printer
		if r.Update.Fetch != nil {
			items.WriteByte(' ')
			items.list(len(r.Update.Fetch), func(i int) { items.fetchItem(r.Update.Fetch[i]) })
		}
		opts = append(opts, "update"+items.String())
	}
	p.WriteString("return ")
	p.wordList(opts)
	p.WriteByte(' ')
}

func (p *printer) searchKeys(key SearchKey) {
	if and, ok := key.(SearchAnd); ok {
		for i, k := range and {
			if i > 0 {
				p.WriteByte(' ')
			}
			p.searchKey(k)
		}
		return
	}
	p.searchKey(key)
}

func (p *printer) sort(c Sort) {
	p.uid(c.UID)
	p.WriteString("sort ")
	p.searchReturn(c.Return)
	p.list(len(c.Keys), func(i int) {
		if c.Keys[i].Reverse {
			p.WriteString("reverse ")
		}
		p.WriteString(c.Keys[i].Name)
	})
	p.WriteByte(' ')
	p.str(c.Charset)
	p.WriteByte(' ')
	p.searchKeys(c.Key)
}

func partialText(r PartialRange) string {
	if r.FromEnd {
		return fmt.Sprintf("-%d:-%d", r.First, r.Last)
	}
	return fmt.Sprintf("%d:%d", r.First, r.Last)
}

func (p *printer) searchKey(k SearchKey) {
	day := func(t time.Time) string { return t.Format("2-Jan-2006") }
	switch k := k.(type) {
	case SearchAnd:
		p.list(len(k), func(i int) { p.searchKey(k[i]) })
	case SearchOr:
		p.WriteString("or ")
		p.searchKey(k.A)
		p.WriteByte(' ')
		p.searchKey(k.B)
	case SearchNot:
		p.searchNot(k)
	case SearchAll:
		p.WriteString("all")
	case SearchNums:
		p.set(k.Set)
	case SearchUIDs:
		p.WriteString("uid ")
		p.set(k.Set)
	case SearchFlag:
		if name, system := strings.CutPrefix(k.Flag, `\`); system {
			p.WriteString(name)
			return
		}
		p.WriteString("keyword " + k.Flag)
	case SearchHeader:
		p.WriteString("header ")
		p.str(k.Name)
		p.WriteByte(' ')
		p.str(k.Value)
	case SearchBody:
		p.WriteString("body ")
		p.str(k.Value)
	case SearchText:
		p.WriteString("text ")
		p.str(k.Value)
	case SearchDate:
		p.WriteString(map[DateField]string{InternalDate: "", SentDate: "sent", SaveDate: "saved"}[k.Field])
		switch {
		case k.From == nil:
			p.WriteString("before " + day(*k.Before))
		case k.Before == nil:
			p.WriteString("since " + day(*k.From))
		default:
			p.WriteString("on " + day(*k.From))
		}
	default:
		p.numberKey(k)
	}
}

func (p *printer) searchNot(k SearchNot) {
	switch inner := k.Key.(type) {
	case SearchFlag:
		if name, system := strings.CutPrefix(inner.Flag, `\`); system {
			p.WriteString(map[bool]string{false: "un" + name, true: "old"}[inner.Flag == Recent])
			return
		}
		p.WriteString("unkeyword " + inner.Flag)
	default:
		p.WriteString("not ")
		p.searchKey(k.Key)
	}
}

func (p *printer) numberKey(k SearchKey) {
	switch k := k.(type) {
	case SearchSize:
		if k.Larger != nil {
			fmt.Fprintf(p, "larger %d", *k.Larger)
			return
		}
		fmt.Fprintf(p, "smaller %d", *k.Smaller)
	case SearchAge:
		if k.Older != nil {
			fmt.Fprintf(p, "older %d", *k.Older)
			return
		}
		fmt.Fprintf(p, "younger %d", *k.Younger)
	case SearchModSeq:
		fmt.Fprintf(p, "modseq %d", k.ModSeq)
	case SearchEmailID:
		p.WriteString("emailid ")
		p.str(k.ID)
	case SearchThreadID:
		p.WriteString("threadid ")
		p.str(k.ID)
	default:
		fmt.Fprintf(p, "<%T>", k)
	}
}
