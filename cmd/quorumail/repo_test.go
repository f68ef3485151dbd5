package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// These tests are the conventions of the repository: what would otherwise be
// prose that nobody reads again.

const module = "github.com/quorumail/quorumail"

// repoRoot is the repository's top, seen from this package's directory.
const repoRoot = "../.."

// goFile is one parsed Go file of the repository.
type goFile struct {
	path      string // from the top, with slashes
	src       []byte
	ast       *ast.File
	generated bool
}

func (f *goFile) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }
func (f *goFile) lines() int   { return bytes.Count(f.src, []byte("\n")) }
func (f *goFile) dir() string  { return path.Dir(f.path) }
func (f *goFile) importName(p string) (string, bool) {
	for _, imp := range f.ast.Imports {
		if strings.Trim(imp.Path.Value, `"`) == p {
			if imp.Name != nil {
				return imp.Name.Name, true
			}
			return path.Base(p), true
		}
	}
	return "", false
}

// goFiles returns all Go files of the repository.
func goFiles(t *testing.T) []*goFile {
	t.Helper()
	var files []*goFile
	fset := token.NewFileSet()
	walk(t, func(p string, src []byte) {
		if !strings.HasSuffix(p, ".go") {
			return
		}
		f, err := parser.ParseFile(fset, p, src, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, &goFile{path: p, src: src, ast: f, generated: ast.IsGenerated(f)})
	})
	return files
}

// walk calls fn for each text file of the repository.
func walk(t *testing.T, fn func(path string, src []byte)) {
	t.Helper()
	err := filepath.WalkDir(repoRoot, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(repoRoot, p)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == ".git" || rel == "quorumail-data" {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		src, err := os.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		if err != nil {
			return err
		}
		if bytes.IndexByte(src[:min(len(src), 8000)], 0) < 0 {
			fn(filepath.ToSlash(rel), src)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Each package says once what it is.
func TestRepo_PackagesHaveOneDocComment(t *testing.T) {
	docs := make(map[string][]string)
	for _, f := range goFiles(t) {
		if f.isTest() {
			continue
		}
		docs[f.dir()] = append(docs[f.dir()], "")
		if f.ast.Doc != nil {
			docs[f.dir()] = append(docs[f.dir()], f.path)
		}
	}
	for dir, paths := range docs {
		paths = slices.DeleteFunc(paths, func(p string) bool { return p == "" })
		if len(paths) != 1 {
			t.Errorf("%s: %d package comments %v, want one", dir, len(paths), paths)
		}
	}
}

// A longer file has two subjects.
func TestRepo_FilesAreAtMost600Lines(t *testing.T) {
	for _, f := range goFiles(t) {
		if n := f.lines(); n > 600 && !f.generated {
			t.Errorf("%s has %d lines", f.path, n)
		}
	}
}

// What init does happens to whoever imports the package, in an order that nobody
// wrote down.
func TestRepo_NoInit(t *testing.T) {
	for _, f := range goFiles(t) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" && !f.generated {
				t.Errorf("%s: func init", f.path)
			}
		}
	}
}

// A test that does not run proves nothing and looks as if it did.
func TestRepo_NoSkippedTests(t *testing.T) {
	for _, f := range goFiles(t) {
		if !f.isTest() {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
				return true
			}
			if id, ok := sel.X.(*ast.Ident); ok && slices.Contains([]string{"t", "b", "f", "tb"}, id.Name) {
				t.Errorf("%s: %s.%s", f.path, id.Name, sel.Sel.Name)
			}
			return true
		})
	}
}

// What is to be done is an issue, where it is seen.
func TestRepo_NoMarkersOfUnfinishedWork(t *testing.T) {
	marker := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	walk(t, func(p string, src []byte) {
		if p == "go.sum" {
			return
		}
		for i, line := range bytes.Split(src, []byte("\n")) {
			if marker.Match(line) {
				t.Errorf("%s:%d: %s", p, i+1, bytes.TrimSpace(line))
			}
		}
	})
}

// Waiting for a while hopes; a condition, a timer in a select or a ticker says
// what it waits for, and can be cancelled.
func TestRepo_NoSleepInProductionCode(t *testing.T) {
	for _, f := range goFiles(t) {
		name, imported := f.importName("time")
		if f.isTest() || !imported {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Sleep" {
				return true
			}
			if id, ok := sel.X.(*ast.Ident); ok && id.Name == name {
				t.Errorf("%s: %s.Sleep", f.path, name)
			}
			return true
		})
	}
}

// A replaced module is one that users of this one don't get.
func TestRepo_GoModHasNoReplace(t *testing.T) {
	out := goCommand(t, "mod", "edit", "-json")
	var mod struct{ Replace, Exclude []any }
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	if len(mod.Replace)+len(mod.Exclude) > 0 {
		t.Errorf("go.mod replaces %v and excludes %v", mod.Replace, mod.Exclude)
	}
}

// The example configurations are what the commands really accept.
func TestRepo_DeployedConfigsAreValid(t *testing.T) {
	for file, cfg := range map[string]interface{ Validate() error }{
		"node.yaml":  new(nodeConfig),
		"front.yaml": new(frontConfig),
	} {
		if err := loadYAML(filepath.Join(repoRoot, "deploy", file), cfg); err != nil {
			t.Error(err)
			continue
		}
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// Each of the Go files that buf generates is younger than nothing else: that is
// for CI. That its configuration parses is for here.
func TestRepo_BufConfigsParse(t *testing.T) {
	for _, file := range []string{"buf.yaml", "buf.gen.yaml"} {
		src, err := os.ReadFile(filepath.Join(repoRoot, "proto", file))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(src, new(map[string]any)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func goCommand(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = repoRoot
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

// goPackage is what a package needs: by its own files, and in all.
type goPackage struct {
	ImportPath    string
	Imports, Deps []string
}

// listPackages returns the repository's packages by their path.
func listPackages(t *testing.T) map[string]goPackage {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(goCommand(t, "list", "-json=ImportPath,Imports,Deps", "./...")))
	packages := make(map[string]goPackage)
	for {
		var p goPackage
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages
		case err != nil:
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
}
