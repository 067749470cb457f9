// Package session reaches AWS: it finds the accounts behind the credentials,
// their regions, and plans the cells to collect in them. Its requests are
// rate-limited, retried, timed out and counted here and nowhere else.
package session

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Settings are the run's own bounds on requests, from the environment.
type Settings struct {
	// Retries is how often a request is repeated after its first attempt, as
	// botocore counts max_attempts.
	Retries int
	// ReadTimeout bounds one attempt of a request.
	ReadTimeout time.Duration
	// Patience is how long one request is repeated while AWS throttles it.
	// Being throttled is no failure but a queue, so it does not count against
	// the retries.
	Patience time.Duration
	// Concurrency is how many requests are under way at once; 0 means
	// DefaultConcurrency.
	Concurrency int
	// MaxRPS is how many requests a second the run makes in one account at
	// most; 0 leaves that to AWS's limits of each operation.
	MaxRPS float64
	// RenewBefore is how long before their end credentials are renewed, or up
	// to half of it later; 0 means two minutes.
	RenewBefore time.Duration
}

// DefaultConcurrency is how many requests are under way at once, over all
// accounts. The rate limits are what bounds most runs.
const DefaultConcurrency = 256

// SettingsFromEnv reads the retry variables: CARTOGRAPHY_AWS_RETRY_MODE,
// CARTOGRAPHY_AWS_MAX_ATTEMPTS and CARTOGRAPHY_AWS_READ_TIMEOUT (seconds), and
// their SNAP_AWS_… spellings, which win. The error names the variable.
// SNAP_AWS_THROTTLE_PATIENCE (seconds) is snap's own.
// Source: cartography/intel/aws/util/botocore_config.py.
func SettingsFromEnv() (Settings, error) {
	s := Settings{}
	retries, err := positive("MAX_ATTEMPTS", 3)
	if err != nil {
		return s, err
	}
	seconds, err := positive("READ_TIMEOUT", 120)
	if err != nil {
		return s, err
	}
	patience, err := positive("THROTTLE_PATIENCE", 300)
	if err != nil {
		return s, err
	}
	name, mode := variable("RETRY_MODE")
	switch strings.ToLower(strings.TrimSpace(mode)) {
	case "", "standard", "legacy", "adaptive": // slowing down while AWS throttles is what snap always does
	default:
		return s, fmt.Errorf("%s is %q: use standard, adaptive or legacy", name, mode)
	}
	s.Retries, s.ReadTimeout, s.Patience = retries, time.Duration(seconds)*time.Second, time.Duration(patience)*time.Second
	return s, nil
}

// variable finds SNAP_AWS_<name> or CARTOGRAPHY_AWS_<name>.
func variable(name string) (string, string) {
	if v := os.Getenv("SNAP_AWS_" + name); v != "" {
		return "SNAP_AWS_" + name, v
	}
	return "CARTOGRAPHY_AWS_" + name, os.Getenv("CARTOGRAPHY_AWS_" + name)
}

func positive(name string, otherwise int) (int, error) {
	key, text := variable(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s is %q: use a positive whole number", key, text)
	}
	return n, nil
}
