package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"snap/collect"
)

// page and pager are a paginator as the SDK has them: it follows whatever
// token it is given.
type page struct {
	Items     []int
	NextToken *string
}

type pager struct {
	tokens []string // that the pages name, in order; "": the last page
	at     int
	fails  int // the page that cannot be read, from 1
}

func (p *pager) HasMorePages() bool { return p.at == 0 || p.tokens[min(p.at, len(p.tokens))-1] != "" }

func (p *pager) NextPage(context.Context, ...func(*struct{})) (*page, error) {
	p.at++
	if p.at == p.fails {
		return nil, errors.New("broken")
	}
	out := &page{Items: []int{p.at}}
	if token := p.tokens[min(p.at, len(p.tokens))-1]; token != "" {
		out.NextToken = &token
	}
	return out, nil
}

func TestAll(t *testing.T) {
	many := make([]string, 5000)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	for name, test := range map[string]struct {
		pager   pager
		items   int
		problem string
	}{
		"one page":                      {pager{tokens: []string{""}}, 1, ""},
		"as many pages as there are":    {pager{tokens: append(many, "")}, 5001, ""},
		"a page that fails":             {pager{tokens: []string{"a", "b", ""}, fails: 3}, 2, "broken"},
		"the same token again":          {pager{tokens: []string{"a", "b", "b"}}, 3, "the continuation token repeats"},
		"an earlier token again":        {pager{tokens: []string{"a", "b", "a", "b"}}, 3, "the continuation token repeats"},
		"the first token for ever":      {pager{tokens: []string{"a"}}, 2, "the continuation token repeats"},
		"empty pages before the others": {pager{tokens: []string{"a", "b", ""}}, 3, ""},
	} {
		got, err := All(t.Context(), &test.pager, func(p *page) []int { return p.Items })
		if len(got) != test.items || (err == nil) != (test.problem == "") || err != nil && !strings.Contains(err.Error(), test.problem) {
			t.Errorf("%s: %d items, %v; want %d, %q", name, len(got), err, test.items, test.problem)
		}
		if !slices.IsSorted(got) {
			t.Errorf("%s: the items are not in order", name)
		}
	}
}

// A panic in one of many is an error that is known for one.
func TestEachCatchesPanics(t *testing.T) {
	_, err := Each(t.Context(), []int{1, 0, 2}, func(_ context.Context, n int) (int, error) { return 6 / n, nil })
	var panicked *collect.Panicked
	if !errors.As(err, &panicked) || len(panicked.Stack) == 0 {
		t.Errorf("error %v; want the panic with its stack", err)
	}
}
