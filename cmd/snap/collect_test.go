package main

import "testing"

// The heap may grow to enoughHeap, and to twice what lives beyond that.
func TestGarbage(t *testing.T) {
	for live, want := range map[uint64]int{0: 4700, 4 << 20: 4700, 48 << 20: 300, enoughHeap / 2: 100, enoughHeap: 100, 1 << 40: 100} {
		if got := garbage(live); got != want {
			t.Errorf("of %d bytes: %d %%; want %d", live, got, want)
		}
	}
}
