package session

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/aws/smithy-go"

	"snap/collect"
	"snap/collect/aws/api"
	"snap/store"
)

// states are the API error codes that say more than "it failed".
var states = map[string]store.State{
	"AccessDenied": store.Denied, "AccessDeniedException": store.Denied, "AccessDeniedFault": store.Denied,
	"UnauthorizedOperation": store.Denied, "Client.UnauthorizedOperation": store.Denied,
	"AuthorizationError": store.Denied, "AuthorizationErrorException": store.Denied,
	"UnauthorizedException": store.Denied, "NotAuthorized": store.Denied, "Forbidden": store.Denied,

	"OptInRequired": store.Unsupported, "SubscriptionRequiredException": store.Unsupported,
	"UnknownOperationException": store.Unsupported, "InvalidAction": store.Unsupported,
	"UnsupportedOperation": store.Unsupported,
}

// meaning tells what an error means for a cell of the sync.
func meaning(sync *api.Sync, err error) store.Outcome {
	o := store.Outcome{State: store.Failed, Code: api.Code(err), Message: err.Error()}
	if s, ok := states[o.Code]; ok {
		o.State = s
	}
	var op *smithy.OperationError
	if errors.As(err, &op) {
		o.Action = action(sync, op)
		o.Message = op.Err.Error()
	}
	var unsupported *api.Unsupported
	if errors.As(err, &unsupported) {
		o.State, o.Message = store.Unsupported, unsupported.Why
		return o
	}
	// What the account is not allowed is one thing, and that there are no
	// credentials to ask with another.
	if inner := credentialsOperation(err); inner != nil && (op == nil || inner != op) {
		o.State, o.Code, o.Message = store.Failed, "Credentials", explain(inner)
		o.Action = strings.ToLower(inner.Service()) + ":" + inner.Operation()
		return o
	}
	var apiErr smithy.APIError
	if errors.As(err, &apiErr) {
		o.Message = apiErr.ErrorMessage()
		return o
	}
	o.Code = transportCode(err)
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		o.State = store.Unsupported // the service has no endpoint in this region
	}
	return o
}

// action is the IAM action of the operation that failed.
func action(sync *api.Sync, op *smithy.OperationError) string {
	if sync != nil {
		for _, text := range sync.Calls {
			if c, err := api.ParseCall(text); err == nil && c.Operation == op.Operation() {
				return c.Action
			}
		}
	}
	return serviceName(op.Service()) + ":" + op.Operation()
}

// transportCode names an error that is no answer of the API.
func transportCode(err error) string {
	var (
		timeout  *errReadTimeout
		panicked *collect.Panicked
		dns      *net.DNSError
		network  net.Error
		decoding *smithy.DeserializationError
		silent   *errSilent
		queued   *errThrottled
	)
	switch {
	case errors.As(err, &panicked):
		return "Panic"
	case errors.Is(err, context.Canceled):
		return "Canceled"
	case errors.As(err, &silent):
		return "NoAnswer"
	case errors.As(err, &queued):
		return "Throttled"
	case errors.As(err, &timeout):
		return "ReadTimeout"
	case errors.As(err, &dns):
		return "NoSuchHost"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "ConnectionRefused"
	case errors.Is(err, syscall.ECONNRESET):
		return "ConnectionReset"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "AnswerTruncated"
	case errors.Is(err, io.EOF):
		return "ConnectionClosed"
	case errors.As(err, &decoding):
		return "AnswerMalformed"
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "Timeout"
	case strings.Contains(err.Error(), "get credentials"), strings.Contains(err.Error(), "get identity"):
		return "Credentials"
	}
	return "Error"
}
