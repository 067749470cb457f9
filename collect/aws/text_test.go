package aws

import (
	"reflect"
	"testing"

	"snap/store/pyjson"
)

func TestPolicyStatements(t *testing.T) {
	for in, want := range map[string]int{
		`{"Statement": [{"Effect": "Allow"}, {}]}`: 2,
		`{"Statement": {"Effect": "Allow"}}`:       1,
		`{"Statement": []}`:                        0,
		`{}`:                                       0,
		`{"Statement": ["x"]}`:                     -1,
		`["x"]`:                                    -1,
		`{"Statement": [`:                          -1,
	} {
		got, err := policyStatements(in)
		if (err != nil) != (want < 0) || err == nil && len(got) != want {
			t.Errorf("%s: got %v, %v; want %d statements", in, got, err, want)
		}
	}
}

func TestStringsOf(t *testing.T) {
	for in, want := range map[string][]string{
		`null`:               nil,
		`"a"`:                {"a"},
		`[]`:                 {},
		`["a", "b"]`:         {"a", "b"},
		`[1, true, {"a":1}]`: {"1", "true", `{"a": 1}`},
		`123456789012`:       {"123456789012"},
	} {
		v, err := pyjson.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := stringsOf(v); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v, want %#v", in, got, want)
		}
	}
}
