package session

import (
	"context"
	"io"
	"runtime"

	smithy "github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// A big answer, such as all policies of an account, takes many times its size
// while it is read. A hundred accounts send theirs at the same moment: beyond
// bigAnswer bytes only so many are read on at once as there are processors to
// do it, and no more than bigAnswers. The others wait on the wire.
const (
	bigAnswer  = 256 << 10
	bigAnswers = 8
)

func newBigAnswers() *gate { return newGate(min(runtime.GOMAXPROCS(0), bigAnswers)) }

// bigPlace is the place of one attempt's answer among the big ones. It travels
// in the context.
type bigPlace struct {
	enter func() error
	held  bool
}

type bigPlaceKey struct{}

// boundAnswers is the innermost step of a request: it lets the body be read
// under the bound.
var boundAnswers = smithy.DeserializeMiddlewareFunc("snap.Answer", func(ctx context.Context, in smithy.DeserializeInput, next smithy.DeserializeHandler) (smithy.DeserializeOutput, smithy.Metadata, error) {
	out, metadata, err := next.HandleDeserialize(ctx, in)
	if answer, ok := out.RawResponse.(*smithyhttp.Response); ok && answer.Body != nil {
		if place, ok := ctx.Value(bigPlaceKey{}).(*bigPlace); ok {
			answer.Body = &bigBody{ReadCloser: answer.Body, place: place, left: bigAnswer}
		}
	}
	return out, metadata, err
})

// bigBody waits for its place once it turns out to be big.
type bigBody struct {
	io.ReadCloser
	place *bigPlace
	left  int // bytes until then
}

func (b *bigBody) Read(p []byte) (int, error) {
	if b.left <= 0 && !b.place.held {
		if err := b.place.enter(); err != nil {
			return 0, err
		}
		b.place.held = true
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= n
	return n, err
}
