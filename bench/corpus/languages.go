package corpus

import (
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
)

// language is what people who speak it write.
type language struct {
	charset   string            // that programs use beside UTF-8, if any
	encoding  encoding.Encoding // of charset
	wordsIn   bool              // encoded words of headers are in charset too
	zone      int               // hours east of UTC
	greeting  string
	reply     string // before the subject of an answer
	file      string // a file's name without its extension
	subjects  []string
	people    []person
	sentences []string
}

// languages are those that the corpus speaks.
var languages = [...]language{
	{
		zone:     -5,
		greeting: "Hello,", reply: "Re: ",
		subjects: []string{"Minutes of Tuesday's meeting", "Invoice 2024-117", "Lunch on Friday?", "Release plan for the next version", "Your order has shipped", "Question about the backup"},
		people:   []person{{"Bob Miller", "bob@example.org"}, {"Carol Jones", "carol@example.net"}, {"Dave O. Smith", "dave@example.com"}, {"Build Robot", "robot@ci.example.org"}},
		sentences: []string{
			"Thank you for the quick answer.", "I have looked at the figures again and they seem right.",
			"Could you send me the latest version before noon?", "The server was restarted at three and has been quiet since.",
			"We agreed to move the deadline by one week.", "Please find the document attached.",
			"Nobody has complained so far, which is a good sign.", "Let me know if Thursday suits you better.",
		},
	},
	{
		charset: "iso-8859-1", encoding: charmap.ISO8859_1, wordsIn: true, zone: 1, file: "Übersicht",
		greeting: "Guten Tag,", reply: "AW: ",
		subjects: []string{"Rückfrage zur Rechnung", "Einladung zum Frühstück", "Protokoll der Sitzung", "Änderung der Öffnungszeiten"},
		people:   []person{{"Jürgen Müller", "juergen@example.org"}, {"Käthe Weiß", "kaethe@example.net"}, {"Sören Groß", "soeren@example.com"}},
		sentences: []string{
			"Vielen Dank für die schnelle Rückmeldung.", "Die Unterlagen finden Sie im Anhang.",
			"Könnten wir den Termin auf nächste Woche verschieben?", "Über die Größe müssen wir noch sprechen.",
			"Der Zug hatte leider wieder Verspätung.", "Ich melde mich spätestens übermorgen.",
		},
	},
	{
		charset: "iso-8859-1", encoding: charmap.ISO8859_1, wordsIn: true, zone: 1, file: "Résumé",
		greeting: "Bonjour,", reply: "RE: ",
		subjects: []string{"Réunion du comité", "Votre réservation à l'hôtel", "Compte rendu de la journée"},
		people:   []person{{"Amélie Lefèvre", "amelie@example.fr"}, {"François Noël", "francois@example.net"}, {"Zoé Martin", "zoe@example.com"}},
		sentences: []string{
			"Merci beaucoup pour votre réponse.", "La réunion est déplacée à jeudi après-midi.",
			"Vous trouverez le document en pièce jointe.", "À bientôt, et bonne fin de semaine.",
			"Le café près de la gare est fermé.", "Pourriez-vous vérifier les chiffres ?",
		},
	},
	{
		charset: "koi8-r", encoding: charmap.KOI8R, wordsIn: true, zone: 3, file: "Отчёт",
		greeting: "Здравствуйте,", reply: "Re: ",
		subjects: []string{"Отчёт за неделю", "Приглашение на встречу", "Вопрос о счёте"},
		people:   []person{{"Иван Петров", "ivan@example.ru"}, {"Ольга Смирнова", "olga@example.net"}, {"Анна", "anna@example.com"}},
		sentences: []string{
			"Спасибо за быстрый ответ.", "Документы находятся во вложении.",
			"Давайте перенесём встречу на пятницу.", "Сервер работает без ошибок.",
			"Сообщите, пожалуйста, удобное время.",
		},
	},
	{
		// ISO-2022-JP begins and ends in ASCII in each line: too long for encoded words.
		charset: "iso-2022-jp", encoding: japanese.ISO2022JP, zone: 9, file: "議事録",
		greeting: "こんにちは。", reply: "Re: ",
		subjects: []string{"会議の議事録", "請求書について", "来週の予定"},
		people:   []person{{"田中太郎", "tanaka@example.jp"}, {"鈴木花子", "suzuki@example.net"}, {"佐藤", "sato@example.com"}},
		sentences: []string{
			"ご返信ありがとうございます。", "資料を添付しましたのでご確認ください。", "会議は木曜日に変更になりました。",
			"来週までにお返事をお願いします。",
		},
	},
}
