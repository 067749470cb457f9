package session

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
)

// Profiles are the profiles of AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE
// (by default ~/.aws/config and ~/.aws/credentials), in the order in which the
// files name them and each once. The SDK reads profiles but does not list them.
// A file that does not exist names none.
func Profiles() ([]string, error) {
	var names []string
	for _, f := range []struct {
		variable, path string
		prefixed       bool // sections are "profile NAME", but for "default"
	}{
		{"AWS_CONFIG_FILE", config.DefaultSharedConfigFilename(), true},
		{"AWS_SHARED_CREDENTIALS_FILE", config.DefaultSharedCredentialsFilename(), false},
	} {
		path := f.path
		if v := os.Getenv(f.variable); v != "" {
			path = expandHome(v)
		}
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("AWS profiles: %w", err)
		}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			if name := section(lines.Text(), f.prefixed); name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		if err := errors.Join(lines.Err(), file.Close()); err != nil {
			return nil, fmt.Errorf("AWS profiles: %s: %w", path, err)
		}
	}
	return names, nil
}

// section is the profile that a line begins, "" where it begins none.
func section(line string, prefixed bool) string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "[") {
		return ""
	}
	name, _, ok := strings.Cut(line[1:], "]")
	if !ok {
		return ""
	}
	words := strings.Fields(name)
	switch {
	case prefixed && len(words) >= 2 && words[0] == "profile":
		return strings.Trim(strings.Join(words[1:], " "), `"'`)
	case prefixed && len(words) == 1 && words[0] == "default", !prefixed && len(words) > 0:
		return strings.Join(words, " ")
	}
	return "" // [sso-session …], [services …], [plugins]
}

func expandHome(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return path
}
