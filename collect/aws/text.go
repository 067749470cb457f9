package aws

import (
	"fmt"

	"snap/store/pyjson"
)

// policyStatements are the statements of a policy document, one or a list of
// them; AWS accepts both.
func policyStatements(document string) ([]pyjson.Object, error) {
	v, err := pyjson.Parse(document)
	if err != nil {
		return nil, fmt.Errorf("policy document: %w", err)
	}
	policy, ok := v.(pyjson.Object)
	if !ok {
		return nil, fmt.Errorf("policy document: no object but %T", v)
	}
	statement, _ := policy.Get("Statement")
	var statements []pyjson.Object
	for _, v := range listOf(statement) {
		s, ok := v.(pyjson.Object)
		if !ok {
			return nil, fmt.Errorf("policy document: a statement is no object but %T", v)
		}
		statements = append(statements, s)
	}
	return statements, nil
}

// listOf is the value if it is a list, else a list of it alone; null is the
// empty list.
func listOf(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

// stringsOf is a string or a list of strings, which policies use alike, as a
// list; any other element is its JSON text. null is nil.
func stringsOf(v any) []string {
	if v == nil {
		return nil
	}
	list := listOf(v)
	out := make([]string, len(list))
	for i, e := range list {
		s, ok := e.(string)
		if !ok {
			s = pyjson.Dump(e)
		}
		out[i] = s
	}
	return out
}
