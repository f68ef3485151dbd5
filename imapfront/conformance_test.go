package imapfront

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	conformanceRow = regexp.MustCompile(`^\| (\d{4}-\d{3}) \| ([^|]+) \| (MUST|MUST NOT|SHOULD|SHOULD NOT) \| (.+) \| ([^|]+) \|$`)
	conformingTest = regexp.MustCompile("`([A-Za-z0-9_.-]+)`")
	testFunc       = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
)

// CONFORMANCE.md names for every sentence a test that exists.
func TestConformanceTable(t *testing.T) {
	exists := make(map[string]bool)
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() != ".." && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case filepath.Ext(path) == ".imap":
			exists[d.Name()] = true
		case strings.HasSuffix(path, "_test.go"):
			src, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range testFunc.FindAllSubmatch(src, -1) {
				exists[string(m[1])] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("CONFORMANCE.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	section := ""
	for i, line := range strings.Split(string(text), "\n") {
		if rfc, ok := strings.CutPrefix(line, "## RFC "); ok {
			section, _, _ = strings.Cut(rfc, ":")
			continue
		}
		if section == "" || !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| No.") {
			continue
		}
		m := conformanceRow.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("line %d is no row of five columns: %s", i+1, line)
			continue
		}
		if !strings.HasPrefix(m[1], section+"-") {
			t.Errorf("line %d: %s stands in the section of RFC %s", i+1, m[1], section)
		}
		if seen[m[1]] {
			t.Errorf("line %d: %s is given twice", i+1, m[1])
		}
		seen[m[1]] = true
		names := conformingTest.FindAllStringSubmatch(m[5], -1)
		if len(names) == 0 && !strings.Contains(m[5], "— not here: ") {
			t.Errorf("line %d: %s names no test", i+1, m[1])
		}
		for _, n := range names {
			if !exists[n[1]] {
				t.Errorf("line %d: %s names %s, which does not exist", i+1, m[1], n[1])
			}
		}
	}
}
