package pyjson

import "testing"

// The wanted texts are what Python 3.11's json.dumps(json.loads(x)) gives.
func TestDump(t *testing.T) {
	for in, want := range map[string]string{
		`{"b":1,"a":[true,null,"x"]}`:     `{"b": 1, "a": [true, null, "x"]}`,
		` { } `:                           `{}`,
		`[]`:                              `[]`,
		`null`:                            `null`,
		`{"a":1,"b":2,"a":3}`:             `{"a": 3, "b": 2}`,
		`"é–東🚀\u007f\/<&>"`:               `"\u00e9\u2013\u6771\ud83d\ude80\u007f/<&>"`,
		`"\"\\\n\r\t\b\f\u0001"`:          `"\"\\\n\r\t\b\f\u0001"`,
		`[1.0,1e5,1E16,0.0001,0.00001]`:   `[1.0, 100000.0, 1e+16, 0.0001, 1e-05]`,
		`[123456789012345678901234,-0]`:   `[123456789012345678901234, 0]`,
		`[-0.0,1.5e300,1e999,-1e999]`:     `[-0.0, 1.5e+300, Infinity, -Infinity]`,
		`{"Principal": {"AWS":["a" ,1]}}`: `{"Principal": {"AWS": ["a", 1]}}`,
	} {
		v, err := Parse(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := Dump(v); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
	for _, in := range []string{``, `{`, `{"a"}`, `[1] 2`, `nope`, `"open`} {
		if v, err := Parse(in); err == nil {
			t.Errorf("%s: got %v, want an error", in, v)
		}
	}
	text := "x"
	if got, want := Dump(Object{{"a", int64(1)}, {"b", 0.5}, {"c", []string{"é"}}, {"d", &text}, {"e", (*string)(nil)}, {"f", []Object{{}}}}),
		`{"a": 1, "b": 0.5, "c": ["\u00e9"], "d": "x", "e": null, "f": [{}]}`; got != want {
		t.Errorf("built by hand: got %s, want %s", got, want)
	}
}

func TestObject(t *testing.T) {
	v, err := Parse(`{"a": "x", "n": null, "i": 1}`)
	if err != nil {
		t.Fatal(err)
	}
	o := v.(Object)
	if got := o.Text("a"); got == nil || *got != "x" {
		t.Errorf("text a: %v", got)
	}
	for _, name := range []string{"n", "i", "none"} {
		if got := o.Text(name); got != nil {
			t.Errorf("text %s: %q, want nil", name, *got)
		}
	}
	if v, ok := o.Get("n"); v != nil || !ok {
		t.Errorf("get n: %v, %v", v, ok)
	}
	if v, ok := o.Get("none"); v != nil || ok {
		t.Errorf("get none: %v, %v", v, ok)
	}
}
