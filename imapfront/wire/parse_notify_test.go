package wire

import (
	"errors"
	"strings"
	"testing"
)

func TestNotify_RFC5465_8(t *testing.T) {
	message := NotifyEvents{Message: true}
	check(t, map[string]Command{
		"notify none": Notify{},
		"NOTIFY SET (selected (messagenew messageexpunge))": Notify{Groups: []NotifyGroup{{Filter: "SELECTED", Events: message}}},
		"notify set status (Selected-Delayed (MessageNew (uid flags) MessageExpunge FlagChange)) (personal none)": Notify{Status: true, Groups: []NotifyGroup{
			{Filter: "SELECTED-DELAYED", Events: NotifyEvents{Message: true, FlagChange: true, Fetch: []FetchItem{{Name: "UID"}, {Name: "FLAGS"}}}},
			{Filter: "PERSONAL"},
		}},
		"notify set (mailboxes inbox (MessageExpunge MessageNew AnnotationChange)) (subtree (a \"b c\" inbox/x) (MailboxName SubscriptionChange))": Notify{Groups: []NotifyGroup{
			{Filter: "MAILBOXES", Mailboxes: []string{"INBOX"}, Events: NotifyEvents{Message: true, AnnotationChange: true}},
			{Filter: "SUBTREE", Mailboxes: []string{"a", "b c", "INBOX/x"}, Events: NotifyEvents{MailboxName: true, SubscriptionChange: true}},
		}},
		"notify set (inboxes (mailboxmetadatachange)) (subscribed (servermetadatachange))": Notify{Groups: []NotifyGroup{
			{Filter: "INBOXES", Events: NotifyEvents{MailboxMetadata: true}},
			{Filter: "SUBSCRIBED", Events: NotifyEvents{ServerMetadata: true}},
		}},
		// Later standards may have more (event-ext).
		"notify set (mailboxes (none) (x-event)) (mailboxes status none)": Notify{Groups: []NotifyGroup{
			{Filter: "MAILBOXES", Mailboxes: []string{"none"}, Events: NotifyEvents{Unknown: []string{"X-EVENT"}}},
			{Filter: "MAILBOXES", Mailboxes: []string{"status"}},
		}},
		"notify set (selected (messagenew (preview (lazy) body.peek[header.fields (from)]<0.9>) messageexpunge))": Notify{Groups: []NotifyGroup{{
			Filter: "SELECTED", Events: NotifyEvents{Message: true, Fetch: []FetchItem{{Name: "PREVIEW"}, {Name: "SECTION", Section: &Section{
				Label: "BODY", Peek: true, Specifier: "HEADER.FIELDS", Fields: []string{"from"}, Partial: &Partial{0, 9},
			}}}},
		}}},
	})
}

func TestNotifyRefused_RFC5465_5_and_8(t *testing.T) {
	for _, in := range []string{
		"notify", "notify all", "notify set", "notify set status", "notify none x", "notify set none", "notify set status (personal none) status",
		"notify set personal none", "notify set (personal)", "notify set (bogus none)", "notify set (personal ())", "notify set (personal MailboxName)",
		"notify set (personal (MailboxName)", "notify set (personal (MailboxName none))x", "notify set (personal none)(personal none)",
		"notify set (subtree none)", "notify set (mailboxes () none)", "notify set (subtree (a b none)", "notify set (mailboxes a% none)",
		// 5: these go together
		"notify set (personal (MessageNew))", "notify set (personal (MessageExpunge))", "notify set (personal (FlagChange))",
		"notify set (selected (AnnotationChange MailboxName))", "notify set (personal (FlagChange MessageNew))",
		// 6.1: at most one of them, and message events only
		"notify set (selected none) (selected-delayed none)", "notify set (selected none) (selected none)", "notify set (selected (MailboxName))",
		"notify set (selected-delayed (MessageNew MessageExpunge ServerMetadataChange))",
		// 8: fetch-att is of the selected mailbox only, and not a macro
		"notify set (personal (MessageNew (uid) MessageExpunge))", "notify set (selected (MessageNew (all) MessageExpunge))",
		"notify set (selected (MessageNew () MessageExpunge))", "notify set (selected (MessageNew uid MessageExpunge (uid)))",
		"notify set (selected (MessageExpunge (uid) MessageNew))",
		"notify set" + strings.Repeat(" (personal none)", 101),
		"notify set (mailboxes (" + strings.Repeat("a ", 1001) + "a) none)",
	} {
		_, cmd, err := NewReader(strings.NewReader("a "+in+"\r\n"), Limits{}, func() error { return nil }).ReadCommand()
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.No {
			t.Errorf("%.80q: %+v, %v; want BAD", in, cmd, err)
		}
	}
}
