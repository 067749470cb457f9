package api

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/aws/smithy-go"

	"snap/collect"
)

// Paginator is what every paginator of the SDK is.
type Paginator[Page, Options any] interface {
	HasMorePages() bool
	NextPage(context.Context, ...func(*Options)) (*Page, error)
}

// All reads every page and returns their items in order; with an error come
// the items read before it. It is the one way to page: it refuses a
// continuation token that repeats, which the SDK would follow for ever or take
// for the end.
func All[Page, Options, Item any](ctx context.Context, p Paginator[Page, Options], items func(*Page) []Item) ([]Item, error) {
	var all []Item
	seen := map[string]bool{}
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return all, err
		}
		all = append(all, items(page)...)
		if token := continuation(page); token != "" && p.HasMorePages() { // some echo the last one
			if seen[token] {
				return all, fmt.Errorf("%T: the continuation token repeats: the listing would never end", page)
			}
			seen[token] = true
		}
	}
	return all, nil
}

// continuation is the token that a page names for the next one.
func continuation[Page any](page *Page) string {
	v := reflect.ValueOf(page).Elem()
	for _, name := range [...]string{"NextToken", "NextMarker", "Marker", "NextContinuationToken", "ContinuationToken"} {
		if f := v.FieldByName(name); f.IsValid() && f.Kind() == reflect.Pointer && !f.IsNil() && f.Elem().Kind() == reflect.String {
			return f.Elem().String()
		}
	}
	return ""
}

// subCalls bounds the sub-calls of one listing that are under way: as many as
// a hundred a second have at 150 ms each. Each takes some 50 KB, in a hundred
// accounts at once. The rate limits and the run's concurrency bound them
// further, and share out places fairly.
const subCalls = 16

// Each calls fn for every item, several at a time, and returns the results in
// the order of the items. The first error ends it, and comes with the results
// so far: zero values where there is none.
func Each[In, Out any](ctx context.Context, items []In, fn func(context.Context, In) (Out, error)) ([]Out, error) {
	out := make([]Out, len(items))
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var next atomic.Int64
	var first error
	var failed sync.Once
	// Goroutines that go on from item to item: a request of the SDK goes deep, and
	// each new goroutine's stack would have to grow anew.
	work := func() {
		for i := next.Add(1) - 1; i < int64(len(items)); i = next.Add(1) - 1 {
			var err error
			if out[i], err = guarded(ctx, items[i], fn); err != nil {
				failed.Do(func() {
					first = err
					end(err)
				})
			}
		}
	}
	var others sync.WaitGroup
	for range min(subCalls, len(items)) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	return out, first
}

// guarded calls fn; a panic is its error.
func guarded[In, Out any](ctx context.Context, item In, fn func(context.Context, In) (Out, error)) (out Out, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &collect.Panicked{Value: r, Stack: debug.Stack()}
		}
	}()
	return fn(ctx, item)
}

// Parts runs the parts of a sync that need nothing of each other, such as the
// listings of several kinds of thing: one that fails leaves the others whole.
// It returns the first error in the order of the parts and puts any other down
// as a loss.
func Parts(ctx context.Context, at *Cell, parts ...func(context.Context, *Cell) error) error {
	errs, err := Each(ctx, parts, func(ctx context.Context, part func(context.Context, *Cell) error) (error, error) {
		return part(ctx, at), nil
	})
	for _, e := range errs {
		switch {
		case e != nil && err == nil:
			err = e
		case e != nil:
			at.Lose(e)
		}
	}
	return err
}

// Code is the error code that the API answered with, "" for any other error.
func Code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// Is tells whether the API answered with one of the codes.
func Is(err error, codes ...string) bool {
	return slices.Contains(codes, Code(err))
}

// Gone tells whether the API says that a thing does not exist: deleted since
// it was listed. It is the one error that a sync may pass over.
func Gone(err error) bool {
	code := Code(err)
	return strings.HasPrefix(code, "NoSuch") || strings.HasSuffix(code, ".NotFound") ||
		strings.HasSuffix(code, "NotFound") || strings.HasSuffix(code, "NotFoundFault") || strings.HasSuffix(code, "NotFoundException")
}

// Unsupported is the error of a cell that has nothing to read: the service is
// not there for this account. It is neither a gap nor proof that things are gone.
type Unsupported struct {
	Why string
	Err error
}

func (u *Unsupported) Error() string { return u.Why }
func (u *Unsupported) Unwrap() error { return u.Err }

// NotHere makes an Unsupported, with what the API answered.
func NotHere(why string, err error) error { return &Unsupported{why, err} }
