package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMinisign checks what minisign 0.11 made, and that we make the same.
func TestMinisign(t *testing.T) {
	read := func(name string) []byte { return must(os.ReadFile(filepath.Join("testdata/minisign", name)))(t) }
	message, signature := read("manifest.json"), read("manifest.json.minisig")
	key := must(ParseSecretKey(read("test.key")))(t)
	public := must(ParsePublicKey(read("test.pub")))(t)
	if public.String() != key.Public().String() || public.ID() != key.Public().ID() {
		t.Errorf("public key %s, want %s", key.Public(), public)
	}
	if again := must(ParsePublicKey([]byte(public.String())))(t); again.String() != public.String() {
		t.Error("the line alone is read as another key")
	}
	ok(t, public.verify(message, signature))
	ours := key.sign(message)
	ok(t, public.verify(message, ours))
	if theirs := strings.Split(string(signature), "\n")[1]; !strings.Contains(string(ours), theirs) {
		t.Errorf("we sign %s\nminisign %s", ours, signature)
	}
	if by := must(SignedBy(signature))(t); by != public.ID() {
		t.Errorf("signed by %s", by)
	}
	if err := public.verify(message, read("legacy.minisig")); !errors.Is(err, ErrSignature) || !strings.Contains(err.Error(), "legacy") {
		t.Errorf("legacy: %v", err)
	}
}

func TestSignatures(t *testing.T) {
	key, stranger := must(GenerateKey())(t), must(GenerateKey())(t)
	message := []byte("manifest")
	signature := key.sign(message)
	ok(t, key.Public().verify(message, signature))
	if !bytes.Equal(signature, key.sign(message)) {
		t.Error("signing again gives another signature")
	}
	refused := func(name string, err error) {
		t.Helper()
		if !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused("another key", stranger.Public().verify(message, signature))
	forged := stranger.Public()
	forged.id = key.id
	refused("another key with the same number", forged.verify(message, signature))
	refused("another message", key.Public().verify([]byte("manifesT"), signature))
	refused("nothing", key.Public().verify(message, nil))
	// The first line is untrusted, and the last line feed may be missing.
	from := bytes.IndexByte(signature, '\n') + 1
	for i := from; i < len(signature)-1; i++ {
		for bit := range 8 {
			b := bytes.Clone(signature)
			b[i] ^= 1 << bit
			refused(string(b), key.Public().verify(message, b))
		}
	}
	for n := range len(signature) - 1 {
		refused("cut off", key.Public().verify(message, signature[:n]))
	}

	if again := must(ParseSecretKey(key.File()))(t); !again.key.Equal(key.key) || again.id != key.id {
		t.Error("the secret key is read as another")
	}
	if again := must(ParsePublicKey(key.Public().File()))(t); again.String() != key.Public().String() {
		t.Error("the public key is read as another")
	}
	for name, text := range map[string][]byte{
		"empty": nil, "public": key.Public().File(), "cut off": key.File()[:200], "text": []byte("RWQ not base64"),
	} {
		if _, err := ParseSecretKey(text); err == nil {
			t.Errorf("%s: a secret key", name)
		}
	}
	if _, err := ParsePublicKey(key.File()); err == nil {
		t.Error("a secret key passes for a public one")
	}
	at := len(key.File()) - 100 // within the key
	damaged := key.File()
	damaged[at] = 'A' + (damaged[at]-'A'+1)%26
	if _, err := ParseSecretKey(damaged); err == nil {
		t.Error("a damaged secret key is read")
	}
}
