package diff

import (
	"fmt"
	"strings"
	"testing"
)

func TestDocuments(t *testing.T) {
	policy := func(statement string) string { return `{"Version":"2012-10-17","Statement":` + statement + `}` }
	allow := func(rest string) string { return policy(`[{"Effect":"Allow",` + rest + `}]`) }
	for _, c := range []struct {
		name     string
		old, new string
		same     bool
	}{
		{"keys' order", `{"a":1,"b":2}`, `{"b":2,"a":1}`, true},
		{"space", `{"a":[1]}`, "{ \"a\" : [ 1 ]\n}", true},
		{"numbers", `{"a":1.0,"b":1e2}`, `{"a":1,"b":100}`, true},
		{"great numbers", `{"a":9007199254740993}`, `{"a":9007199254740992}`, false},
		{"number and text", `{"a":1}`, `{"a":"1"}`, false},
		{"value", `{"a":1}`, `{"a":2}`, false},
		{"key added", `{"a":1}`, `{"a":1,"b":null}`, false},
		{"list's order", `{"a":[1,2]}`, `{"a":[2,1]}`, false},
		{"one and list", `{"a":"x"}`, `{"a":["x"]}`, false},
		{"escapes", `{"a":"\u0041/"}`, `{"a":"A\/"}`, true},
		{"no JSON", `{"a":1`, `{"a":1 `, false},
		{"text after it", `{"a":1}`, `{"a":1} {}`, false},
		{"not looked into", `"{\"a\":1}"`, `"{ \"a\":1}"`, false},

		{"actions' order", allow(`"Action":["a:B","a:C"],"Resource":"*"`), allow(`"Resource":"*","Action":["a:C","a:B"]`), true},
		{"action, one and list", allow(`"Action":"a:B"`), allow(`"Action":["a:B"]`), true},
		{"action twice", allow(`"Action":["a:B","a:B"]`), allow(`"Action":["a:B"]`), true},
		{"action", allow(`"Action":["a:B","a:C"]`), allow(`"Action":["a:B"]`), false},
		{"action and not action", allow(`"Action":"a:B"`), allow(`"NotAction":"a:B"`), false},
		{"not action's order", allow(`"NotAction":["a:B","a:C"]`), allow(`"NotAction":["a:C","a:B"]`), true},
		{"resource, one and list", allow(`"Resource":"*"`), allow(`"Resource":["*"]`), true},
		{"resources' order", allow(`"Resource":["x","y"]`), allow(`"Resource":["y","x"]`), true},
		{"resource", allow(`"Resource":["x","y"]`), allow(`"Resource":["x","z"]`), false},
		{"principals' order", allow(`"Principal":{"AWS":["x","y"],"Service":"s"}`), allow(`"Principal":{"Service":["s"],"AWS":["y","x"]}`), true},
		{"principal", allow(`"Principal":{"AWS":["x","y"]}`), allow(`"Principal":{"AWS":"*"}`), false},
		{"everyone", allow(`"Principal":"*"`), allow(`"Principal":{"AWS":"*"}`), false},
		{"statements' order", policy(`[{"Effect":"Allow","Action":"a"},{"Effect":"Deny","Action":"b"}]`), policy(`[{"Effect":"Deny","Action":"b"},{"Effect":"Allow","Action":"a"}]`), true},
		{"statement, one and list", policy(`{"Effect":"Allow","Action":"a"}`), policy(`[{"Effect":"Allow","Action":"a"}]`), true},
		{"effect", allow(`"Action":"a"`), strings.Replace(allow(`"Action":"a"`), "Allow", "Deny", 1), false},
		{"version", allow(`"Action":"a"`), strings.Replace(allow(`"Action":"a"`), "2012", "2008", 1), false},
		{"condition's values", allow(`"Condition":{"StringEquals":{"k":["a","b"]},"Bool":{"s":true}}`), allow(`"Condition":{"Bool":{"s":"true"},"StringEquals":{"k":["b","a"]}}`), true},
		{"condition", allow(`"Condition":{"StringEquals":{"k":"a"}}`), allow(`"Condition":{"StringLike":{"k":"a"}}`), false},
		{"condition gone", allow(`"Condition":{"StringEquals":{"k":"a"}},"Action":"a"`), allow(`"Action":"a"`), false},
		{"condition alone", `{"ForAnyValue:StringLikeIfExists":{"k":"a"}}`, `{"ForAnyValue:StringLikeIfExists":{"k":["a"]}}`, true},
		{"no condition", `{"StringThing":{"k":"a"}}`, `{"StringThing":{"k":["a"]}}`, false},
		{"policy inside", `{"p":` + allow(`"Action":"a"`) + `}`, `{"p":` + allow(`"Action":["a"]`) + `}`, true},
		{"statement that is none", `{"Statement":["b","a"]}`, `{"Statement":["a","b"]}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, pair := range [][2]string{{c.old, c.new}, {c.new, c.old}} {
				same, lines := compareDocuments(&pair[0], &pair[1])
				if same != c.same || same != (len(lines) == 0) {
					t.Errorf("same %v, diff:\n%s", same, strings.Join(lines, "\n"))
				}
			}
		})
	}
}

func TestDocumentDiff(t *testing.T) {
	old := `{"Version":"2012-10-17","Statement":[
		{"Sid":"Z","Effect":"Allow","Action":"s3:Get*","Resource":"*"},
		{"Sid":"Read","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:root"},"Action":["s3:ListBucket","s3:GetObject"],"Resource":"arn:b"}]}`
	new := `{"Statement":[
		{"Effect":"Allow","Sid":"Read","Principal":{"AWS":["arn:aws:iam::1:root","arn:aws:iam::2:root"]},"Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:b"]},
		{"Sid":"Z","Effect":"Allow","Action":"s3:Get*","Resource":"*"}],"Version":"2012-10-17"}`
	_, lines := compareDocuments(&old, &new)
	expect(t, strings.Join(lines, "\n"), `
@ 16 lines are the same, then in "Read"
       "Principal": {
         "AWS": [
           "arn:aws:iam::1:root"
+          "arn:aws:iam::2:root"
         ]
       }
       "Action": [
@ 9 lines are the same`)

	// A document that appears is shown whole, and one that is no JSON as text.
	raw := "one\ntwo\x1b[31m"
	_, lines = compareDocuments(nil, p(`{"b":[],"a":{"c":"<\u202e>"}}`))
	expect(t, strings.Join(lines, "\n"), "+{\n+  \"a\": {\n+    \"c\": \"<\\u202e>\"\n+  }\n+  \"b\": []\n+}")
	_, lines = compareDocuments(&raw, nil)
	expect(t, strings.Join(lines, "\n"), "-one\n-two\\u001b[31m")
}

// The diff of documents far larger than any policy is still right: from the
// lines of the one it makes the other's.
func TestLargeDocumentDiff(t *testing.T) {
	for _, n := range []int{10, 3000, 70_000} {
		var old, new []string
		for i := range n {
			old = append(old, fmt.Sprintf("line %d", i))
			if i%7 != 3 {
				new = append(new, fmt.Sprintf("line %d", i))
			}
			if i%n == n/2 {
				new = append(new, "another")
			}
		}
		var a, b int
		for _, l := range diffLines(old, new) {
			switch l[0] {
			case '@':
				t.Fatalf("a cut in short runs: %s", l)
			case ' ', '-':
				if l[1:] != old[a] {
					t.Fatalf("old line %d: %q", a, l)
				}
				a++
			}
			if l[0] != '-' {
				if l[1:] != new[b] {
					t.Fatalf("new line %d: %q", b, l)
				}
				b++
			}
		}
		if a != len(old) || b != len(new) {
			t.Errorf("%d of %d and %d of %d lines", a, len(old), b, len(new))
		}
	}
}

func FuzzDocuments(f *testing.F) {
	f.Add(`{"Statement":{"Action":"a"}}`, `{"Statement":[{"Action":["a","b"]},1]}`)
	f.Add(`{"StringEquals":{"a":true}}`, `[]`)
	f.Add("\xff\u202e", "{")
	f.Fuzz(func(t *testing.T, a, b string) {
		if same, lines := compareDocuments(&a, &a); !same || lines != nil {
			t.Fatal("a document differs from itself")
		}
		ab, lines := compareDocuments(&a, &b)
		if ba, _ := compareDocuments(&b, &a); ab != ba {
			t.Fatal("it depends on the order")
		}
		if ab != (len(lines) == 0) {
			t.Fatalf("same %v, but %d lines", ab, len(lines))
		}
		for _, l := range lines {
			if printable(l, "") != l {
				t.Fatalf("unprintable: %q", l)
			}
		}
	})
}
