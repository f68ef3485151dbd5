package imapnum

import (
	"errors"
	"hash/crc32"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Slots is the number of slots that accounts are hashed to. It is fixed for
// ever: a slot is part of every key.
const Slots = 16384

// Slot is where an account is placed: 0 to Slots-1. A slot belongs to one
// shard at a time and moves as a whole.
type Slot uint16

// MaxAccountName bounds an account's name, in octets.
const MaxAccountName = 255

// ErrAccountName says that a text cannot be an account's name.
var ErrAccountName = errors.New("not an account name: want 1 to 255 octets of UTF-8 without spaces, controls or \"/\"")

// AccountName normalises an account's name as a user types it: NFC and lower
// case, so that one account has one name. A name has 1 to 255 octets and no
// white space, control character or "/". A domain is customary, not required.
func AccountName(s string) (string, error) {
	if !utf8.ValidString(s) || len(s) > MaxAccountName {
		return "", ErrAccountName
	}
	s = norm.NFC.String(strings.ToLower(s))
	if s == "" || len(s) > MaxAccountName {
		return "", ErrAccountName
	}
	for _, r := range s {
		if r == '/' || r == utf8.RuneError || unicode.IsSpace(r) || unicode.IsControl(r) {
			return "", ErrAccountName
		}
	}
	return s, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// SlotOf returns the slot of a normalised account name.
func SlotOf(account string) Slot {
	return Slot(crc32.Checksum([]byte(account), castagnoli) % Slots)
}
