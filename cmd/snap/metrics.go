package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"snap/collect/aws/session"
	"snap/store"
)

// metrics says where the figures of a run go. The statsd flags are
// Cartography's.
type metrics struct {
	file         string
	statsd       bool
	prefix, host string
	port         int
}

func (m *metrics) flags(f *pflag.FlagSet) {
	f.StringVar(&m.file, "metrics-file", "", "write the run's figures to this `FILE`, as Prometheus's textfile collector reads them")
	f.BoolVar(&m.statsd, "statsd-enabled", false, "send the run's figures to statsd")
	f.StringVar(&m.prefix, "statsd-prefix", "", "what the names of statsd metrics begin with")
	f.StringVar(&m.host, "statsd-host", "127.0.0.1", "the statsd server")
	f.IntVar(&m.port, "statsd-port", 8125, "the statsd server's UDP port")
}

// figure is a metric with its samples.
type figure struct {
	name, help string
	samples    []sample
}

type sample struct {
	labels []string // name, value, …
	value  float64
}

func (f *figure) add(value float64, labels ...string) {
	f.samples = append(f.samples, sample{labels, value})
}

// figures are what there is to tell about a run.
func figures(m store.Manifest, used []session.Usage, took time.Duration) []*figure {
	cells := &figure{name: "snap_collect_cells", help: "Cells of the snapshot, by how they ended."}
	rows := &figure{name: "snap_collect_rows", help: "Rows of the snapshot."}
	byState, byAccount := map[[2]string]int{}, map[string]int64{}
	for _, c := range m.Cells {
		byState[[2]string{c.Account, string(c.State)}]++
		byAccount[c.Account] += c.Rows
	}
	for _, a := range m.Accounts {
		for _, s := range states { // also those that none ended in: a series must not vanish
			cells.add(float64(byState[[2]string{a.ID, string(s)}]), "account", a.ID, "state", string(s))
		}
		rows.add(float64(byAccount[a.ID]), "account", a.ID)
	}
	calls := &figure{name: "snap_collect_requests", help: "Requests to the cloud's APIs in this run, repeated ones included."}
	retries := &figure{name: "snap_collect_retries", help: "Requests that were repetitions."}
	throttles := &figure{name: "snap_collect_throttles", help: "Requests that the API throttled."}
	waited := &figure{name: "snap_collect_limited_seconds", help: "Time that requests waited for the rate limits and for a place, summed."}
	asked := &figure{name: "snap_collect_request_seconds", help: "Time that the APIs took to answer, summed."}
	for _, u := range perOperation(used) {
		labels := []string{"account", u.Account, "service", u.Service, "operation", u.Operation}
		calls.add(float64(u.Calls), labels...)
		retries.add(float64(u.Retries), labels...)
		throttles.add(float64(u.Throttles), labels...)
		waited.add(u.Waited.Seconds(), labels...)
		asked.add(u.Took.Seconds(), labels...)
	}
	one := func(name, help string, value float64) *figure {
		return &figure{name, help, []sample{{nil, value}}}
	}
	return []*figure{
		cells, rows, calls, retries, throttles, waited, asked,
		one("snap_collect_unresolved_profiles", "Profiles that lead to no account.", float64(len(m.Unresolved))),
		one("snap_collect_duration_seconds", "How long this run took.", took.Seconds()),
		one("snap_collect_started_timestamp_seconds", "When the collection began: its update tag.", float64(m.Tag())),
		one("snap_collect_finished_timestamp_seconds", "When the snapshot was written.", float64(m.Finished.Unix())),
	}
}

// perOperation sums the syncs up, in the order of account, service and operation.
func perOperation(used []session.Usage) []session.Usage {
	sum := map[[3]string]*session.Usage{}
	var order [][3]string
	for _, u := range used {
		k := [3]string{u.Account, u.Service, u.Operation}
		if sum[k] == nil {
			sum[k] = &session.Usage{Account: u.Account, Service: u.Service, Operation: u.Operation}
			order = append(order, k)
		}
		s := sum[k]
		s.Calls, s.Retries, s.Throttles = s.Calls+u.Calls, s.Retries+u.Retries, s.Throttles+u.Throttles
		s.Waited, s.Took = s.Waited+u.Waited, s.Took+u.Took
	}
	slices.SortFunc(order, func(a, b [3]string) int { return slices.Compare(a[:], b[:]) })
	var out []session.Usage
	for _, k := range order {
		out = append(out, *sum[k])
	}
	return out
}

// send writes the figures to where they are wanted.
func (m *metrics) send(manifest store.Manifest, used []session.Usage, took time.Duration) error {
	if m.file == "" && !m.statsd {
		return nil
	}
	all := figures(manifest, used, took)
	var errs []error
	if m.file != "" {
		errs = append(errs, writeMetrics(m.file, all))
	}
	if m.statsd {
		errs = append(errs, m.sendStatsd(all))
	}
	return errors.Join(errs...)
}

// writeMetrics writes Prometheus's text format, the file whole or not at all.
func writeMetrics(path string, all []*figure) (err error) {
	var b strings.Builder
	for _, f := range all {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n", f.name, f.help, f.name)
		for _, s := range f.samples {
			b.WriteString(f.name)
			for i := 0; i < len(s.labels); i += 2 {
				fmt.Fprintf(&b, "%c%s=%q", "{,"[min(i, 1)], s.labels[i], s.labels[i+1])
			}
			if len(s.labels) > 0 {
				b.WriteByte('}')
			}
			fmt.Fprintf(&b, " %s\n", strconv.FormatFloat(s.value, 'f', -1, 64))
		}
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("--metrics-file: %w", err)
	}
	_, err = file.WriteString(b.String())
	err = errors.Join(err, file.Chmod(0o644), file.Close()) // another program is to read it
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("--metrics-file: %w", errors.Join(err, os.Remove(file.Name())))
	}
	return nil
}

// datagram is how much fits one UDP packet on any network.
const datagram = 1400

// sendStatsd sends every figure as a gauge. Labels are parts of the name.
func (m *metrics) sendStatsd(all []*figure) error {
	conn, err := net.Dial("udp", net.JoinHostPort(m.host, strconv.Itoa(m.port)))
	if err != nil {
		return fmt.Errorf("statsd: %w", err)
	}
	var packet strings.Builder
	flush := func() error {
		if packet.Len() == 0 {
			return nil
		}
		_, err := conn.Write([]byte(packet.String()))
		packet.Reset()
		return err
	}
	for _, f := range all {
		for _, s := range f.samples {
			name := []string{"snap", "collect", strings.TrimPrefix(f.name, "snap_collect_")}
			if m.prefix != "" {
				name = append([]string{m.prefix}, name...)
			}
			for i := 1; i < len(s.labels); i += 2 {
				name = append(name, strings.NewReplacer(".", "_", ":", "_", "|", "_").Replace(s.labels[i]))
			}
			line := strings.Join(name, ".") + ":" + strconv.FormatFloat(s.value, 'f', -1, 64) + "|g"
			if packet.Len()+len(line)+1 > datagram {
				err = errors.Join(err, flush())
			}
			if packet.Len() > 0 {
				packet.WriteByte('\n')
			}
			packet.WriteString(line)
		}
	}
	if err = errors.Join(err, flush(), conn.Close()); err != nil {
		return fmt.Errorf("statsd: %w", err)
	}
	return nil
}
