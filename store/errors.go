package store

import (
	"errors"
	"fmt"
)

// The errors that callers tell apart with errors.Is.
var (
	// ErrExists: the directory holds a snapshot already.
	ErrExists = errors.New("there is a snapshot already")
	// ErrUnfinished: the directory holds a collection that was not committed.
	ErrUnfinished = errors.New("there is an unfinished collection")
	// ErrNotSnapshot: the directory holds no snapshot.
	ErrNotSnapshot = errors.New("not a snapshot")
	// ErrSignature: the snapshot lacks the signature that was asked for.
	ErrSignature = errors.New("not signed by that key")
	// ErrEncrypted: the bundle cannot be read without another identity.
	ErrEncrypted = errors.New("encrypted")
	// ErrLocked: another process writes to the directory.
	ErrLocked = errors.New("another process is writing to it")
)

// DamagedError says that a snapshot is not as it was written.
type DamagedError struct {
	Path string // relative to the snapshot, with slashes
	What string
}

func (e *DamagedError) Error() string { return fmt.Sprintf("damaged snapshot: %s: %s", e.Path, e.What) }

func damaged(path, format string, args ...any) error {
	return &DamagedError{Path: path, What: fmt.Sprintf(format, args...)}
}

// VersionError says that a snapshot's format is newer than this program reads.
type VersionError struct {
	Needs string // what reads it
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("the snapshot's format is newer than this program's (%d): it needs %s", Format, e.Needs)
}
