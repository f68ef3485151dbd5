"""Python's imaplib at its normal work: arguments are host, port, user, password."""

import email
import imaplib
import sys
import time

host, port, user, password = sys.argv[1:5]


def ok(what, answer):
    kind, data = answer
    if kind != "OK":
        sys.exit(f"imaplib: {what}: {kind} {data}")
    return data


m = imaplib.IMAP4(host, int(port))
ok("login", m.login(user, password))
if "IMAP4REV1" not in m.capabilities:
    sys.exit(f"imaplib: capabilities: {m.capabilities}")
ok("create", m.create("Lib/Work"))
ok("list", m.list())
letters = [f"Subject: letter {n}\r\nMessage-ID: <lib{n}@example.org>\r\n\r\ntext {n}\r\n" for n in range(1, 6)]
for text in letters:
    ok("append", m.append("Lib/Work", r"(\Seen)", imaplib.Time2Internaldate(time.time()), text.encode()))
if ok("select", m.select("Lib/Work")) != [b"5"]:
    sys.exit("imaplib: select: not five messages")
raw = ok("fetch", m.fetch("2", "(RFC822)"))[0][1]
if email.message_from_bytes(raw)["Subject"] != "letter 2":
    sys.exit(f"imaplib: fetch: {raw}")
if ok("search", m.search(None, "SUBJECT", '"letter 3"')) != [b"3"]:
    sys.exit("imaplib: search")
if ok("sort", m.sort("(REVERSE SUBJECT)", "UTF-8", "ALL")) != [b"5 4 3 2 1"]:
    sys.exit("imaplib: sort")
ok("thread", m.thread("REFERENCES", "UTF-8", "ALL"))
ok("store", m.store("1:2", "+FLAGS", r"(\Flagged $Forwarded)"))
ok("uid copy", m.uid("COPY", "3", "INBOX"))
ok("delete", m.store("5", "+FLAGS", r"\Deleted"))
if ok("expunge", m.expunge()) != [b"5"]:
    sys.exit("imaplib: expunge")
ok("status", m.status("Lib/Work", "(MESSAGES UIDNEXT UNSEEN)"))
ok("getquotaroot", m.getquotaroot("INBOX"))
ok("myrights", m.myrights("Lib/Work"))
ok("noop", m.noop())
ok("close", m.close())
ok("enable", m.enable("UTF8=ACCEPT"))
ok("create", m.create('"Grüße"'))
ok("select", m.select('"Grüße"'))
m.logout()
print("imaplib: done")
