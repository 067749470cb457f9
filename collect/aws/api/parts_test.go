package api

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"snap/store/kind"
)

type lossSink struct{ losses []error }

func (*lossSink) Put(*kind.Table, kind.Row) {}
func (s *lossSink) Lose(err error)          { s.losses = append(s.losses, err) }

// Every part runs whatever the others end with, and no error gets lost.
func TestParts(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	for _, c := range []struct {
		name   string
		ends   []error
		want   error
		losses []error
	}{
		{name: "none"},
		{name: "all well", ends: []error{nil, nil}},
		{name: "one fails", ends: []error{nil, second, nil}, want: second},
		{name: "two fail", ends: []error{first, nil, second}, want: first, losses: []error{second}},
	} {
		var sink lossSink
		var ran atomic.Int64
		var parts []func(context.Context, *Cell) error
		for _, end := range c.ends {
			parts = append(parts, func(context.Context, *Cell) error { ran.Add(1); return end })
		}
		err := Parts(context.Background(), &Cell{Sink: &sink}, parts...)
		if err != c.want || !slices.Equal(sink.losses, c.losses) || int(ran.Load()) != len(c.ends) {
			t.Errorf("%s: error %v, losses %v, %d parts ran; want %v, %v, %d", c.name, err, sink.losses, ran.Load(), c.want, c.losses, len(c.ends))
		}
	}
}
