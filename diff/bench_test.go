//go:build unix

package diff

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"snap/store"
	"snap/store/kind"
)

// benchRows is how many rows each side of BenchmarkDiff has.
func benchRows(b *testing.B) int {
	if s := os.Getenv("SNAP_BENCH_ROWS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	return 1_000_000
}

// benchSide is a snapshot of n hosts in cells of a hundred thousand rows, of
// which one in a thousand is another on the new side.
func benchSide(b *testing.B, n int, new bool) *store.Snapshot {
	var cells []cell
	const per = 100_000
	for first := 0; first < n; first += per {
		cells = append(cells, in(acct, fmt.Sprintf("region-%d", first/per), "host", func(s kind.Sink) {
			for i := first; i < min(n, first+per); i++ {
				h := base(fmt.Sprintf("i-%012x", i))
				h.Name, h.SubnetID, h.Policy = p(fmt.Sprintf("web-%d", i)), p(fmt.Sprintf("subnet-%d", i%500)), nil
				h.Groups = []string{fmt.Sprintf("sg-%d", i%100), "sg-default"}
				if new && i%1000 == 7 {
					h.State = p("stopped")
				}
				hosts.Put(s, h)
			}
		}))
	}
	return snap(b, cells...)
}

// cpu is the processor time that the process has had.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkDiff compares a million rows with a million rows, and reads both
// sides without comparing. cpu-s is the processor time, peak-MB what the
// program has of the system at most.
func BenchmarkDiff(b *testing.B) {
	n := benchRows(b)
	old, new := benchSide(b, n, false), benchSide(b, n, true)
	runtime.GC()
	measure := func(b *testing.B, f func()) {
		stop, peak := make(chan struct{}), make(chan uint64)
		runtime.GC()
		go func() {
			var most uint64
			var m runtime.MemStats
			for {
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse+m.StackInuse)
				select {
				case <-stop:
					peak <- most
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		}()
		before := cpu(b)
		for b.Loop() {
			f()
		}
		b.ReportMetric((cpu(b)-before).Seconds()/float64(b.N), "cpu-s")
		close(stop)
		b.ReportMetric(float64(<-peak)/1e6, "peak-MB")
		b.ReportMetric(float64(2*n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	}
	b.Run("read", func(b *testing.B) {
		measure(b, func() {
			for _, s := range []*store.Snapshot{old, new} {
				for _, c := range s.Manifest.Cells {
					for _, f := range c.Files {
						rows, _, _ := s.Read(hosts.Table, f)
						for _, err := range rows {
							if err != nil {
								b.Fatal(err)
							}
						}
					}
				}
			}
		})
	})
	b.Run("diff", func(b *testing.B) {
		measure(b, func() {
			c, err := Compare(b.Context(), old, new, registry, Options{Rules: exampleRules})
			if err != nil {
				b.Fatal(err)
			}
			if err := JSON(io.Discard, c); err != nil {
				b.Fatal(err)
			}
			if got := c.Summary().Total.Changed; got != int64(n/1000) {
				b.Fatalf("%d changes, want %d", got, n/1000)
			}
		})
	})
}
