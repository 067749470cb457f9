package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// UserJob is an analysis of the user's own, in Cartography's form: a file of
// JSON with a name and statements, which run one after the other, each in a
// transaction of its own. Their parameters are $UPDATE_TAG, $LIMIT_SIZE (the
// statement's iterationsize) and those that the statement has itself.
type UserJob struct {
	Path       string          `json:"-"`
	Name       string          `json:"name"`
	Statements []UserStatement `json:"statements"`

	err error // why it cannot run
}

// UserStatement is one statement of a UserJob. An iterative one is repeated
// until it changes nothing more.
type UserStatement struct {
	Query         string         `json:"query"`
	Parameters    map[string]any `json:"parameters"`
	Iterative     bool           `json:"iterative"`
	IterationSize int64          `json:"iterationsize"`
}

// oldSpelling is how parameters were written before Neo4j 4.
var oldSpelling = regexp.MustCompile(`(?:^|[^$])\{\s*(UPDATE_TAG|LIMIT_SIZE)\s*\}`)

// ReadUserJobs reads the files *.json in a directory and below, in the order of
// their paths. A file that is no job is an error when its turn comes, so that
// the others run.
func ReadUserJobs(dir string) ([]UserJob, error) {
	var jobs []UserJob
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no directory", dir)
	}
	if err == nil {
		err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || filepath.Ext(path) != ".json" {
				return err
			}
			jobs = append(jobs, readUserJob(path))
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("analysis jobs: %w", err)
	}
	return jobs, nil
}

func readUserJob(path string) UserJob {
	j := UserJob{}
	text, err := os.ReadFile(path)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		err = d.Decode(&j)
	}
	j.Path = path
	switch {
	case err != nil:
		j.err = fmt.Errorf("is no job: %s", line(err))
	case j.Name == "":
		j.err = errors.New("is no job: it has no name")
	case len(j.Statements) == 0:
		j.err = errors.New("is no job: it has no statements")
	}
	for i, s := range j.Statements {
		wrong := ""
		switch old := oldSpelling.FindStringSubmatch(s.Query); {
		case strings.TrimSpace(s.Query) == "":
			wrong = "has no query"
		case old != nil:
			wrong = fmt.Sprintf("says {%s}, which Neo4j has not known since version 4: write $%s", old[1], old[1])
		case s.IterationSize < 0 || s.Iterative && s.IterationSize == 0:
			wrong = fmt.Sprintf("has the iterationsize %d: use a positive number", s.IterationSize)
		}
		if wrong != "" && j.err == nil {
			j.err = fmt.Errorf("statement %d %s", i+1, wrong)
		}
		for name, v := range s.Parameters {
			s.Parameters[name] = number(v)
		}
	}
	return j
}

// number makes Cypher's numbers of JSON's: an integer where it is one.
func number(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = number(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = number(v[k])
		}
	}
	return v
}

// UserJobsError tells which of the user's jobs failed. The load is done
// nevertheless.
type UserJobsError struct {
	Failed []error
	Of     int
}

func (e *UserJobsError) Error() string {
	texts := make([]string, len(e.Failed))
	for i, err := range e.Failed {
		texts[i] = err.Error()
	}
	return fmt.Sprintf("%d of %d analysis jobs failed, all else is done: %s", len(e.Failed), e.Of, strings.Join(texts, "; "))
}

// Unwrap gives the errors, each of one file.
func (e *UserJobsError) Unwrap() []error { return e.Failed }

// userJobs runs the user's jobs.
func (l *loader) userJobs(ctx context.Context) error {
	failed := &UserJobsError{Of: len(l.o.UserJobs)}
	for _, j := range l.o.UserJobs {
		l.phase("analysis", j.Path)
		started := time.Now()
		r := JobReport{Name: j.Path}
		err := j.err
		if err == nil && !l.o.DryRun {
			err = l.runUserJob(ctx, j)
			r.Ran = err == nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.Error = err.Error()
			failed.Failed = append(failed.Failed, fmt.Errorf("%s: %w", j.Path, err))
		}
		r.Seconds = time.Since(started).Seconds()
		l.report.Analysis = append(l.report.Analysis, r)
	}
	if len(failed.Failed) > 0 {
		return failed
	}
	return nil
}

func (l *loader) runUserJob(ctx context.Context, j UserJob) error {
	for i, s := range j.Statements {
		params := map[string]any{}
		for name, v := range s.Parameters {
			params[name] = v
		}
		params["UPDATE_TAG"], params["LIMIT_SIZE"] = l.tag, s.IterationSize
		for {
			// Not repeated when it is in doubt whether it was committed: it is not
			// known to bear that.
			_, n, err := l.graph.writeOnce(ctx, []statement{{s.Query, params}})
			if err != nil {
				return fmt.Errorf("statement %d: %w", i+1, l.graph.explain(err))
			}
			if !s.Iterative || !n.changed {
				break
			}
		}
	}
	return nil
}
