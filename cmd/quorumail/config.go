package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// loadYAML decodes a configuration file over what config holds. Keys that mean
// nothing are refused: a misspelt setting must not be a default in silence.
func loadYAML(path string, config any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return usage(fmt.Errorf("config: %w", err))
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(config); err != nil && !errors.Is(err, io.EOF) {
		return usage(fmt.Errorf("config: %s: %w", path, plainYAML(err)))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return usage(fmt.Errorf("config: %s: want one YAML document", path))
	}
	return nil
}

// plainYAML puts the library's errors on one line and leaves out Go's types.
func plainYAML(err error) error {
	var types *yaml.TypeError
	if !errors.As(err, &types) {
		return err
	}
	var plain []string
	for _, e := range types.Errors {
		e, _, _ = strings.Cut(e, " in type ")
		plain = append(plain, strings.Replace(e, "not found", "is not known", 1))
	}
	return errors.New(strings.Join(plain, "; "))
}

// override sets dst to the value of a flag that was given: the command line
// wins over the file.
func override[T any](flags *pflag.FlagSet, name string, dst *T, value T) {
	if flags.Changed(name) {
		*dst = value
	}
}
