package imapnum

import "strings"

// Bounds of annotations (RFC 5464, 4.1), which frontends tell clients of and the
// state machine keeps.
const (
	// MaxMetadataValue is the most octets of a value, MaxMetadataName of a name.
	MaxMetadataValue = 64 << 10
	MaxMetadataName  = 255
)

// MetadataName returns the one spelling of the name of an annotation, which has
// no case: the lower one. It reports false for what is no name (RFC 5464, 3.2):
// the first component is "private" or "shared", at least one follows, and of the
// vendors' names at least three.
func MetadataName(name string) (string, bool) {
	name, ok := MetadataPath(name)
	if !ok {
		return "", false
	}
	parts := strings.Split(name[1:], "/")
	return name, len(parts) >= 2 && (parts[1] != "vendor" || len(parts) >= 4)
}

// MetadataPath does the same for a level of the hierarchy of names, which need
// not be the name of an annotation itself: annotations below it are asked for by
// it.
func MetadataPath(name string) (string, bool) {
	if name == "" || name[0] != '/' {
		return "", false
	}
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c < 0x1a || c >= 0x80 || c == '*' || c == '%':
			return "", false
		case c == '/' && (i+1 == len(name) || name[i+1] == '/'):
			return "", false
		}
	}
	name = strings.ToLower(name)
	scope, _, _ := strings.Cut(name[1:], "/")
	return name, scope == "private" || scope == "shared"
}
