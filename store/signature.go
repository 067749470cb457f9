package store

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/blake2b"
)

// Signatures and keys have the form of minisign, so that either program checks
// what the other one signed. Only its prehashed signatures are made or taken.
const (
	algEd25519   = "Ed"
	algPrehashed = "ED"
	algBlake2b   = "B2"

	maxSignature = 16 << 10 // bytes of the file
)

// PublicKey checks signatures.
type PublicKey struct {
	id  [8]byte
	key ed25519.PublicKey
}

// SecretKey makes signatures.
type SecretKey struct {
	id  [8]byte
	key ed25519.PrivateKey
}

// GenerateKey makes a new key.
func GenerateKey() (SecretKey, error) {
	var k SecretKey
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return k, err
	}
	k.key = key
	_, err = rand.Read(k.id[:])
	return k, err
}

// Public is the key that checks what k signs.
func (k SecretKey) Public() PublicKey {
	return PublicKey{id: k.id, key: k.key.Public().(ed25519.PublicKey)}
}

// ID is the key's number as minisign shows it.
func (k PublicKey) ID() string { return fmt.Sprintf("%016X", binary.LittleEndian.Uint64(k.id[:])) }

// String is the key as one line, which ParsePublicKey reads.
func (k PublicKey) String() string {
	return base64.StdEncoding.EncodeToString(bytes.Join([][]byte{[]byte(algEd25519), k.id[:], k.key}, nil))
}

// File is the key as minisign keeps it.
func (k PublicKey) File() []byte {
	return fmt.Appendf(nil, "untrusted comment: minisign public key %s\n%s\n", k.ID(), k)
}

// File is the key as minisign -W keeps it: not protected by a password.
func (k SecretKey) File() []byte {
	sum := k.checksum()
	b := bytes.Join([][]byte{[]byte(algEd25519), {0, 0}, []byte(algBlake2b), make([]byte, 32+8+8), k.id[:], k.key, sum[:]}, nil)
	return fmt.Appendf(nil, "untrusted comment: minisign secret key, without a password\n%s\n", base64.StdEncoding.EncodeToString(b))
}

func (k SecretKey) checksum() [blake2b.Size256]byte {
	return blake2b.Sum256(bytes.Join([][]byte{[]byte(algEd25519), k.id[:], k.key}, nil))
}

// ParsePublicKey reads a public key: the file, or the one line of it that counts.
func ParsePublicKey(text []byte) (PublicKey, error) {
	var k PublicKey
	b, err := keyLine(text)
	if err != nil || len(b) != 2+8+ed25519.PublicKeySize || string(b[:2]) != algEd25519 {
		return k, errors.New("it is no public key of minisign's form, as snap keygen makes it")
	}
	k.id, k.key = [8]byte(b[2:10]), ed25519.PublicKey(b[10:])
	return k, nil
}

// ParseSecretKey reads the file of a secret key. Its errors have nothing of it.
func ParseSecretKey(text []byte) (SecretKey, error) {
	var k SecretKey
	b, err := keyLine(text)
	if err != nil || len(b) != 2+2+2+32+8+8+8+ed25519.PrivateKeySize+blake2b.Size256 || string(b[:2]) != algEd25519 || string(b[4:6]) != algBlake2b {
		return k, errors.New("it is no secret key of minisign's form, as snap keygen makes it")
	}
	if b[2] != 0 || b[3] != 0 {
		return k, errors.New("the secret key is protected by a password, which cannot be asked for here: minisign -C -W -s FILE takes it off a copy")
	}
	b = b[2+2+2+32+8+8:]
	k.id, k.key = [8]byte(b[:8]), ed25519.PrivateKey(b[8:8+ed25519.PrivateKeySize])
	// minisign 0.11 leaves the checksum out of a key without a password.
	if sum, has := k.checksum(), b[8+ed25519.PrivateKeySize:]; !bytes.Equal(sum[:], has) && !bytes.Equal(make([]byte, len(has)), has) {
		return k, errors.New("the secret key is damaged: its checksum is wrong")
	}
	// The second half is the public key; a wrong one would give the secret away.
	if !k.key.Equal(ed25519.NewKeyFromSeed(k.key.Seed())) {
		return k, errors.New("the secret key is damaged: its halves do not belong together")
	}
	return k, nil
}

// keyLine is the content of the first line that is no comment.
func keyLine(text []byte) ([]byte, error) {
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "untrusted comment:") {
			return base64.StdEncoding.Strict().DecodeString(line)
		}
	}
	return nil, errors.New("empty")
}

// sign makes the signature file of a manifest; it depends on nothing but key
// and manifest.
func (k SecretKey) sign(manifest []byte) []byte {
	hash := blake2b.Sum512(manifest)
	signature := ed25519.Sign(k.key, hash[:])
	comment := "snapshot sha256:" + hexSHA256(manifest)
	global := ed25519.Sign(k.key, append(bytes.Clone(signature), comment...))
	b := bytes.Join([][]byte{[]byte(algPrehashed), k.id[:], signature}, nil)
	return fmt.Appendf(nil, "untrusted comment: signature from snap secret key %s\n%s\ntrusted comment: %s\n%s\n",
		k.Public().ID(), base64.StdEncoding.EncodeToString(b), comment, base64.StdEncoding.EncodeToString(global))
}

// verify checks a signature file; the error is ErrSignature.
func (k PublicKey) verify(manifest, file []byte) error {
	alg, id, signature, comment, global, err := parseSignature(file)
	switch {
	case err != nil:
		return err
	case alg != algPrehashed:
		return fmt.Errorf("%w: %s is of minisign's legacy form: sign again without -l", ErrSignature, signatureFile)
	case id != k.id:
		return fmt.Errorf("%w: it is signed by the key %s, not by %s", ErrSignature, PublicKey{id: id}.ID(), k.ID())
	}
	hash := blake2b.Sum512(manifest)
	if !ed25519.Verify(k.key, hash[:], signature) {
		return fmt.Errorf("%w: %s was changed after it had been signed, or the signature is another snapshot's", ErrSignature, manifestFile)
	}
	if !ed25519.Verify(k.key, append(bytes.Clone(signature), comment...), global) {
		return fmt.Errorf("%w: the comment of %s was changed", ErrSignature, signatureFile)
	}
	return nil
}

// SignedBy is the number of the key that a signature file claims to be of.
func SignedBy(file []byte) (string, error) {
	_, id, _, _, _, err := parseSignature(file)
	return PublicKey{id: id}.ID(), err
}

func parseSignature(file []byte) (alg string, id [8]byte, signature []byte, comment string, global []byte, err error) {
	lines := strings.Split(strings.ReplaceAll(string(file), "\r\n", "\n"), "\n")
	if len(lines) == 5 && lines[4] == "" {
		lines = lines[:4]
	}
	wrong := func() (string, [8]byte, []byte, string, []byte, error) {
		return "", id, nil, "", nil, fmt.Errorf("%w: %s is no signature of minisign's form", ErrSignature, signatureFile)
	}
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "untrusted comment:") {
		return wrong()
	}
	b, err := base64.StdEncoding.Strict().DecodeString(lines[1])
	comment, ok := strings.CutPrefix(lines[2], "trusted comment: ")
	if err != nil || len(b) != 2+8+ed25519.SignatureSize || !ok {
		return wrong()
	}
	global, err = base64.StdEncoding.Strict().DecodeString(lines[3])
	if err != nil || len(global) != ed25519.SignatureSize {
		return wrong()
	}
	return string(b[:2]), [8]byte(b[2:10]), b[10:], comment, global, nil
}
