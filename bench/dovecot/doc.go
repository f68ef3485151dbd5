// Package dovecot runs a private Dovecot for comparisons: on a free port of
// 127.0.0.1, from a configuration, a base directory and users of its own, all in
// one directory. It touches nothing of a Dovecot that the machine runs.
//
// The settings are Dovecot's defaults with the sdbox format (one file a message
// beside one index, what it is fastest at with fsync on), passwords that cost
// nothing to check, and limits high enough for many connections from one
// address. mail_fsync is its default, "optimized": APPEND, COPY and the index's
// log are synced before the answer.
//
// As root, mail belongs to the user nobody, and login processes run as
// Debian's dovenull; as another user, everything runs as that user.
package dovecot
