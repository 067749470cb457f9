package aws

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// exampleKind is the file that README.md shows as what a kind is.
const exampleKind = "ec2_elastic_ip_address.go"

// TestNewKind: the file of a kind is all that there is to it. README.md shows
// one as it is; the package without that file passes the registry's tests, and
// so it does with it, when they are run here.
func TestNewKind(t *testing.T) {
	file, err := os.ReadFile(exampleKind)
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "\n```go\n"+string(file)+"```\n") {
		t.Errorf("README.md does not show collect/aws/%s as it is", exampleKind)
	}

	path, err := filepath.Abs(exampleKind)
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: ""}}) // the file is not there
	if err != nil {
		t.Fatal(err)
	}
	without := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(without, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	const tests = "TestTablesKeepTheContract|TestLinksEndAtDeclaredNodes|TestSyncsNameTheirCalls|TestTablesOfOneLabelShareItsOntology|TestEstate|TestEveryCallFailing"
	out, err := exec.Command("go", "test", "-overlay", without, "-count=1", "-v", "-run", "^("+tests+")$", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("without %s: %v\n%s", exampleKind, err, out)
	}
	for _, name := range strings.Split(tests, "|") {
		if !strings.Contains(string(out), "--- PASS: "+name+" ") {
			t.Errorf("%s did not run:\n%s", name, out)
		}
	}
}
