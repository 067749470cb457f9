package load

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
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

	"snap/fixtures/boltcluster"
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
	c, private := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "snap test"}, IsCA: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}}, nil, nil)
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

// authority is a CA, in a file, and what a server has whose certificate is the
// CA's, for the name localhost.
func authority(t *testing.T) (ca string, server *tls.Config) {
	t.Helper()
	parent, signer := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "snap test CA"}, IsCA: true}, nil, nil)
	c, private := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}}, parent, signer)
	return inFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: parent.Raw}))),
		&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{c.Raw}, PrivateKey: private}}}
}

// issue makes a certificate that its parent signs, else itself.
func issue(t *testing.T, c, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if parent == nil {
		parent, signer = c, private
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	c.BasicConstraintsValid, c.KeyUsage = true, x509.KeyUsageDigitalSignature
	if c.IsCA {
		c.KeyUsage |= x509.KeyUsageCertSign
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &private.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made, private
}

func inFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// connects is what a child process says of a load: it has an environment of its
// own.
func connects(uri, user, password string) int {
	g, err := Connect(context.Background(), ConnectOptions{URI: uri, User: user, Password: password})
	if err == nil {
		_, err = first(100).try(g, Options{})
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
	if everySmallRows > 0 {
		return // it was run before, and is the same in both ways of writing
	}
	cert, key := certificate(t)
	s := launch(t, neo4jtest.Options{Password: "a password", Files: map[string]string{"tls/public.crt": cert, "tls/private.key": key}, Settings: map[string]string{
		"server.bolt.tls_level": "REQUIRED", "dbms.ssl.policy.bolt.enabled": "true", "dbms.ssl.policy.bolt.base_directory": "DIR/tls"}})
	_, at, _ := strings.Cut(s.URI, "://")
	ca := inFile(t, cert)
	// Aura is a cluster whose members have a name and a certificate of a CA.
	clusterCA, member := authority(t)
	cluster := startCluster(t, nil, boltcluster.Options{Host: "localhost", TLS: member,
		Dial: func() (net.Conn, error) { return tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true}) }})
	for _, c := range []struct {
		scheme, user, password, ca string
		cluster                    bool
		want                       string // empty: it loads
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
		{cluster: true, scheme: "neo4j+s", user: "neo4j", password: "a password", ca: clusterCA},
		{cluster: true, scheme: "neo4j+ssc", user: "neo4j", password: "a password"},
		{cluster: true, scheme: "neo4j+s", user: "neo4j", password: "another", ca: clusterCA, want: "refuses the password of user neo4j"},
		{cluster: true, scheme: "neo4j+s", user: "neo4j", password: "a password", ca: ca, want: "certificate signed by unknown authority: name the file of its CA in SSL_CERT_FILE"},
		{cluster: true, scheme: "neo4j", user: "neo4j", password: "a password", want: "neo4j+s://"},
	} {
		at := at
		if c.cluster {
			at = cluster.Address(0)
		}
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

	// A connection of TLS ends in another way than one without.
	g, err := Connect(context.Background(), ConnectOptions{URI: "neo4j+ssc://" + cluster.Address(0), User: "neo4j", Password: "a password"})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	cluster.Seen()
	cluster.OnStatement(func(n int) {
		if n == 2 {
			if err := cluster.Set(0, boltcluster.Down); err != nil {
				t.Error(err)
			}
			cluster.Lead(2)
		}
	})
	if _, err := first(200).try(g, Options{}); err != nil {
		t.Error(err)
	}
	if seen := cluster.Seen(); seen.Writes[0] == 0 || seen.Writes[2] == 0 || seen.Behind > 0 {
		t.Errorf("%+v", seen)
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
