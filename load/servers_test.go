package load

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"snap/fixtures/neo4jtest"
	"snap/store"
	"snap/store/kind"
)

// launch starts a server of its own settings for one test.
func launch(t *testing.T, o neo4jtest.Options) *neo4jtest.Server {
	t.Helper()
	s, err := neo4jtest.LaunchWith(context.Background(), o, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// certificate is one that a server has made for itself, and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "snap test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

// connects is what a child process says of a connection: it has an environment
// of its own.
func connects(uri, user, password string) int {
	g, err := Connect(context.Background(), ConnectOptions{URI: uri, User: user, Password: password})
	if err == nil {
		_, err = g.read(context.Background(), "RETURN 1", nil)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// Every way to a server that wants TLS and a password works or says in one line
// why not.
func TestTLSAndPassword(t *testing.T) {
	cert, key := certificate(t)
	s := launch(t, neo4jtest.Options{Password: "a password", Files: map[string]string{"tls/public.crt": cert, "tls/private.key": key}, Settings: map[string]string{
		"server.bolt.tls_level": "REQUIRED", "dbms.ssl.policy.bolt.enabled": "true", "dbms.ssl.policy.bolt.base_directory": "DIR/tls"}})
	_, at, _ := strings.Cut(s.URI, "://")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte(cert), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		scheme, user, password, ca string
		want                       string // empty: it connects
	}{
		{scheme: "bolt+ssc", user: "neo4j", password: "a password"},
		{scheme: "neo4j+ssc", user: "neo4j", password: "a password"},
		{scheme: "bolt+s", user: "neo4j", password: "a password", ca: ca},
		{scheme: "neo4j+s", user: "neo4j", password: "a password", ca: ca},
		{scheme: "bolt+s", user: "neo4j", password: "a password", want: "SSL_CERT_FILE"},
		{scheme: "neo4j+s", user: "neo4j", password: "a password", want: "SSL_CERT_FILE"},
		{scheme: "bolt", user: "neo4j", password: "a password", want: "bolt+s://"},
		{scheme: "bolt+ssc", user: "neo4j", password: "another", want: "refuses the password of user neo4j"},
		{scheme: "neo4j+ssc", user: "neo4j", password: "another", want: "refuses the password of user neo4j"},
		{scheme: "bolt+ssc", want: "wants a user and a password"},
	} {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "SNAP_TEST_CONNECT="+c.scheme+"://"+at, "SNAP_TEST_USER="+c.user, "SNAP_TEST_PASSWORD="+c.password, "SSL_CERT_FILE="+c.ca)
		began := time.Now()
		out, err := child.CombinedOutput()
		said := strings.TrimSpace(string(out))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(said, c.want) || strings.Contains(said, "\n")) {
			t.Errorf("%+v: %v: %s", c, err, said)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%+v took %s", c, took)
		}
	}
}

// neo4j:// asks the server for the way, also a single one.
func TestRouting(t *testing.T) {
	direct := testGraph(t)
	g, err := Connect(context.Background(), ConnectOptions{URI: strings.Replace(direct.uri, "bolt://", "neo4j://", 1), Database: "neo4j"})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	first(100).load(t, g, Options{})
	want := dump(t, direct)
	cypher(t, direct, "MATCH (n) DETACH DELETE n")
	first(100).load(t, direct, Options{})
	if len(want) < 1000 || strings.Count(dump(t, direct), "\n") != strings.Count(want, "\n") {
		t.Error("the graph differs from that of bolt://")
	}
}

// A database that cannot be written to says so before anything else.
func TestReadOnly(t *testing.T) {
	s := launch(t, neo4jtest.Options{Settings: map[string]string{"server.databases.default_to_read_only": "true"}})
	g, err := Connect(context.Background(), ConnectOptions{URI: s.URI})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	began := time.Now()
	_, err = first(100).try(g, Options{})
	if err == nil || !strings.Contains(err.Error(), "is read-only: name another or open it for writing") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if _, err := first(100).try(g, Options{DryRun: true}); err != nil {
		t.Errorf("a dry run: %v", err)
	}
}

// A server whose transactions may take little memory gets smaller ones.
func TestLittleMemory(t *testing.T) {
	s := launch(t, neo4jtest.Options{Settings: map[string]string{"db.memory.transaction.max": "4m"}})
	g, err := Connect(context.Background(), ConnectOptions{URI: s.URI})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	rows := func(tag int64, n int) *snapshot {
		return newSnapshot(tag).account("1").cell("1/r1/net", store.Complete, func(to kind.Sink) {
			for i := range n {
				v := vpcRow{ID: fmt.Sprint("v", i), Name: ptr(strings.Repeat("x", 500))}
				vpcs.Put(to, v)
				subnets.Put(to, subnetRow{ID: fmt.Sprint("s", i), VPC: &v.ID})
			}
		})
	}
	rows(100, 6000).load(t, g, Options{})
	expect(t, g, "MATCH (:AWSAccount)-->(s:Subnet)-[:MEMBER_OF]->(v:Vpc) RETURN count(DISTINCT s), count(DISTINCT v)", "[6000,6000]")
	rows(200, 1).load(t, g, Options{MaxDelete: 1})
	expect(t, g, "MATCH (n) WHERE n:Vpc OR n:Subnet RETURN count(n)", "[2]")
	_, err = newSnapshot(300).account("1").cell("1/r1/net", store.Complete, func(to kind.Sink) {
		subnets.Put(to, subnetRow{ID: "s", Name: ptr(strings.Repeat("x", 20<<20))})
	}).try(g, Options{})
	if err == nil || !strings.Contains(err.Error(), "the server lacks the memory for one row; raise db.memory.transaction.max") || strings.Contains(err.Error(), "\n") || len(err.Error()) > 600 {
		t.Errorf("a row that is too large: %.700v", err)
	}
}
