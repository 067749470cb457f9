//go:build !linux

package store

// Flush asks for each.
func (d writable) Flush(names []string) error { return d.flushEach(names) }
