package traffic

import (
	"fmt"
	"strings"
)

// Quote returns s as an argument of a command: a quoted string, or a
// non-synchronizing literal if it has octets that no quoted string may have
// (RFC 7888; the server must advertise LITERAL+ or LITERAL-).
func Quote(s string) string {
	for i := 0; i < len(s); i++ {
		if b := s[i]; b == 0 || b == '\r' || b == '\n' || b >= 0x80 {
			return fmt.Sprintf("{%d+}\r\n%s", len(s), s)
		}
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
