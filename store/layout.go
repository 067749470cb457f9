package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// The files of a snapshot's top directory. The signature is there if somebody
// signed; the journal and the lock only while a collection writes or after it
// was interrupted.
const (
	manifestFile  = "manifest.json"
	signatureFile = "manifest.json.minisig"
	journalFile   = "journal.jsonl"
	lockFile      = "LOCK"
)

// oneSegment is what may stand in a path: no separators, no leading dot, nothing
// that a shell or a query engine would read otherwise.
const oneSegment = `[A-Za-z0-9][A-Za-z0-9_.-]*`

// isSegment tells whether s is one; it is asked for each cell several times.
func isSegment(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i > 0 && (c == '_' || c == '.' || c == '-'):
		default:
			return false
		}
	}
	return s != ""
}

// ourDir and ourFile are the paths that a collection under way may have made.
var (
	ourDir  = regexp.MustCompile(strings.ReplaceAll(`^@(/@(/account=@(/region=@)?)?)?$`, "@", oneSegment))
	ourFile = regexp.MustCompile(strings.ReplaceAll(`^(@/@/account=@(/region=@)?/(part-[0-9a-f]{12}\.parquet|\.temp-[0-9]+)|\.temp-[0-9]+)$`, "@", oneSegment))
)

// isOurs tells whether a collection may have made the entry.
func isOurs(name string, e fs.DirEntry) bool {
	return e.IsDir() && ourDir.MatchString(name) || e.Type().IsRegular() && ourFile.MatchString(name)
}

// cellDir is the directory of a cell's files of one table. A global table has
// no region level: a column of that name would be shadowed by it.
func cellDir(id CellID, table string) string {
	dir := id.Provider + "/" + table + "/account=" + id.Account
	if id.Region != "" {
		dir += "/region=" + id.Region
	}
	return dir
}

// filePath is where a file lies; it follows from what the file is.
func filePath(id CellID, table, sum string) string {
	return cellDir(id, table) + "/part-" + sum[:12] + ".parquet"
}

// isSum tells whether s is a SHA-256 as we write it.
func isSum(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 2*sha256.Size
}

func tempName(dir string, n int64) string {
	if dir == "." {
		return fmt.Sprintf(".temp-%d", n)
	}
	return fmt.Sprintf("%s/.temp-%d", dir, n)
}

func isTemp(path string) bool {
	return strings.HasPrefix(path[strings.LastIndex(path, "/")+1:], ".temp-")
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
