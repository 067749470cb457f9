package load

// DefaultWriters is how many batches are under way to the server at the same
// time, and how many accounts' analysis.
const DefaultWriters = 4

// writers send the batches of one table at the same time: those that share no
// node of the table. A MERGE of a node that another transaction is making would
// make it twice, and two transactions that lock the same nodes in another order
// would wait for each other for ever. What may be locked by both is the other
// end of a relationship, and that in the order of the batch.
type writers struct {
	most    int
	into    *TableReport
	flights []*flight // the oldest first
}

// flight is a batch under way.
type flight struct {
	alone map[string]bool // the nodes that no other may have; nil: nothing else may be under way
	done  chan landed
}

type landed struct {
	tally
	err error
}

// tally is what batches did.
type tally struct {
	nodesCreated, nodesUnchanged        int64
	links, linksCreated, linksUnchanged int64
}

// took adds what a statement returned: how many links there are, how many of
// them were there and the same (null: all that were not created), and how many
// such nodes.
func (t *tally) took(found [][]any, n counts) {
	t.nodesCreated += n.nodesCreated
	t.linksCreated += n.linksCreated
	if len(found) == 0 {
		return
	}
	links, _ := found[0][0].(int64)
	same, told := found[0][1].(int64)
	if !told {
		same = links - n.linksCreated
	}
	nodes, _ := found[0][2].(int64)
	t.links += links
	t.linksUnchanged += same
	t.nodesUnchanged += nodes
}

func (r *TableReport) add(t tally) {
	r.NodesCreated += t.nodesCreated
	r.NodesUnchanged += t.nodesUnchanged
	r.Links += t.links
	r.LinksCreated += t.linksCreated
	r.LinksUnchanged += t.linksUnchanged
}

// start begins to send once that may be. The error is that of an earlier batch.
func (w *writers) start(alone map[string]bool, send func() (tally, error)) error {
	first := max(0, len(w.flights)-w.most+1) // so many must have landed
	for i, f := range w.flights {
		if f.meets(alone) {
			first = max(first, i+1)
		}
	}
	if err := w.land(first); err != nil {
		return err
	}
	f := &flight{alone, make(chan landed, 1)}
	w.flights = append(w.flights, f)
	go func() {
		t, err := send()
		f.done <- landed{t, err}
	}()
	return nil
}

func (f *flight) meets(alone map[string]bool) bool {
	few, many := f.alone, alone
	if few == nil || many == nil {
		return true
	}
	if len(few) > len(many) {
		few, many = many, few
	}
	for node := range few {
		if many[node] {
			return true
		}
	}
	return false
}

// land waits for the oldest n and returns their first error.
func (w *writers) land(n int) (err error) {
	for _, f := range w.flights[:n] {
		l := <-f.done
		w.into.add(l.tally)
		if err == nil {
			err = l.err
		}
	}
	w.flights = w.flights[n:]
	return err
}

// wait waits for all that is under way.
func (w *writers) wait() error { return w.land(len(w.flights)) }
