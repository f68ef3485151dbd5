package wire

import "testing"

func TestESearch_RFC7377_4(t *testing.T) {
	all := func(key SearchKey) Search { return Search{UID: true, Return: &SearchReturn{All: true}, Key: key} }
	check(t, map[string]Command{
		"esearch unseen":     ESearch{Search: all(SearchNot{SearchFlag{`\Seen`}})},
		"ESEARCH 1:100":      ESearch{Search: all(SearchNums{nums(1, 100)})},
		"esearch subject IN": ESearch{Search: all(SearchHeader{"Subject", "IN"})},
		"esearch in (Mailboxes folder1 subtree \"folder 2\") unseen": ESearch{Sources: []Source{
			{Filter: "MAILBOXES", Mailboxes: []string{"folder1"}}, {Filter: "SUBTREE", Mailboxes: []string{"folder 2"}},
		}, Search: all(SearchNot{SearchFlag{`\Seen`}})},
		"esearch In (selected personal inboxes subscribed subtree-one (inbox/x {1}\r\ny selected) mailboxes &AOQ-) return (min count) charset utf-8 subject \"chad\"": ESearch{
			Sources: []Source{
				{Filter: "SELECTED"}, {Filter: "PERSONAL"}, {Filter: "INBOXES"}, {Filter: "SUBSCRIBED"},
				{Filter: "SUBTREE-ONE", Mailboxes: []string{"INBOX/x", "y", "selected"}}, {Filter: "MAILBOXES", Mailboxes: []string{"ä"}},
			},
			Search: Search{UID: true, Return: &SearchReturn{Min: true, Count: true}, Charset: "UTF-8", Key: SearchHeader{"Subject", "chad"}},
		},
	})
}
