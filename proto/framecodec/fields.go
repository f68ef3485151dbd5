package framecodec

import "google.golang.org/protobuf/encoding/protowire"

// AppendNumber appends a field of a number, but not zero, which is what a field is that
// is not there.
func AppendNumber(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

// SizeNumber is how many octets that appends.
func SizeNumber(field protowire.Number, v uint64) int {
	if v == 0 {
		return 0
	}
	return protowire.SizeTag(field) + protowire.SizeVarint(v)
}
