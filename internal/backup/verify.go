package backup

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"weir"
	"weir/internal/fold"
)

// Journal is what Verify reads records from.
type Journal interface {
	Head() weir.Seq
	First() weir.Seq
	Read(ctx context.Context, after weir.Seq, limit int) ([]*weir.Record, error)
	Records(ctx context.Context, seqs []weir.Seq) ([]*weir.Record, error)
}

// State is what Verify compares them with.
type State interface {
	Load(ctx context.Context) (*fold.Checkpoint, error)
	// Members calls each for the members in [low, high] of open groups and of runs in state.
	Members(ctx context.Context, low, high weir.Seq, each func(weir.Seq) error) error
}

// Blobs opens what records name. A blob that is not there is NotFound.
type Blobs interface {
	Open(ctx context.Context, id string) (io.ReadSeekCloser, int64, error)
}

// Fault is something that is not as it should be.
type Fault struct {
	Where string `json:"where"` // a file, with places where they are known
	What  string `json:"what"`
	Do    string `json:"do"` // "" from Check: it is said what to do about damage
}

// Report says what was looked at.
type Report struct {
	Records int64    `json:"records"` // readable ones
	Events  int64    `json:"events"`
	Changes int64    `json:"changes"`
	First   weir.Seq `json:"first"` // before it nothing but what had to stay is kept
	Head    weir.Seq `json:"head"`
	Cursor  weir.Seq `json:"cursor"`
	Runs    int      `json:"runs"`    // in state
	Groups  int      `json:"groups"`  // open
	Members int64    `json:"members"` // of those runs and groups
	Blobs   int64    `json:"blobs"`   // named by records
	Faults  int      `json:"faults"`
}

// Stores is what is verified. Check, which may be nil, looks for damage that
// reading does not meet; Told, which may be nil, hears how many records are read.
type Stores struct {
	Journal Journal
	State   State
	Blobs   Blobs
	Check   func(ctx context.Context, each func(Fault)) error
	Told    func(records int64)
}

// The words of what to do.
const (
	fromBackup  = "restore from a backup: what is damaged cannot be made again from the rest"
	belongsNot  = "put back the state.db and the journal that belong together, from one backup"
	maybeErased = "if they were erased, nothing is wrong; else restore from a backup"
)

// Verify looks at all records, and whether journal, state and blobs fit each
// other. Each hears of every fault. An error means that it could not go on.
func Verify(ctx context.Context, s Stores, each func(Fault)) (r Report, err error) {
	found := func(f Fault) {
		r.Faults++
		if f.Do == "" {
			f.Do = fromBackup
		}
		each(f)
	}
	if s.Check != nil {
		if err := s.Check(ctx, found); err != nil {
			return r, err
		}
	}
	if err := s.records(ctx, &r, found); err != nil {
		return r, err
	}
	return r, s.references(ctx, &r, found)
}

// verifyPage is how many records are read at once.
const verifyPage = 1000

// records reads every record, and the blobs that they name.
func (s *Stores) records(ctx context.Context, r *Report, found func(Fault)) error {
	r.First, r.Head = s.Journal.First(), s.Journal.Head()
	for after := weir.Seq(0); ; {
		page, err := s.Journal.Read(ctx, after, verifyPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, rec := range page {
			after = rec.Seq
			r.Records++
			switch {
			case rec.Change != nil:
				r.Changes++
			case rec.Event != nil:
				r.Events++
				if err := s.blob(ctx, r, rec, found); err != nil {
					return err
				}
			}
		}
		if s.Told != nil {
			s.Told(r.Records)
		}
	}
}

// blob looks at the blob that an event names.
func (s *Stores) blob(ctx context.Context, r *Report, rec *weir.Record, found func(Fault)) error {
	b := rec.Event.Blob
	if b == nil {
		return nil
	}
	r.Blobs++
	fault := func(format string, args ...any) {
		found(Fault{
			Where: fmt.Sprintf("blob %s of record %d", b.ID, rec.Seq), What: fmt.Sprintf(format, args...),
			Do: "put the file back from a backup; until then the event is shown without its data",
		})
	}
	f, size, err := s.Blobs.Open(ctx, b.ID)
	switch {
	case weir.CodeOf(err) == weir.NotFound:
		fault("it is not there")
		return nil
	case err != nil:
		return err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, reader{ctx, f})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		fault("it cannot be read: %v", err)
	case size != b.Size || n != b.Size:
		fault("it has %d bytes, and its record says %d", n, b.Size)
	case [sha256.Size]byte(sum.Sum(nil)) != b.Sum:
		fault("its bytes are not those that its record tells the sum of")
	}
	return nil
}

// references compares state with the journal.
func (s *Stores) references(ctx context.Context, r *Report, found func(Fault)) error {
	cp, err := s.State.Load(ctx)
	if err != nil {
		return err
	}
	r.Cursor, r.Runs, r.Groups = cp.Cursor, len(cp.Runs), len(cp.Groups)
	if cp.Cursor > r.Head {
		found(Fault{
			Where: "state", Do: belongsNot,
			What: fmt.Sprintf("its cursor %d is beyond the journal's last record %d", cp.Cursor, r.Head),
		})
	}
	if cp.Cursor+1 < r.First {
		found(Fault{
			Where: "state", Do: belongsNot,
			What: fmt.Sprintf("its cursor is %d, and of the journal all before record %d was trimmed", cp.Cursor, r.First),
		})
	}
	return s.members(ctx, r, found)
}

// members looks for the members of groups and runs that are not in the journal.
func (s *Stores) members(ctx context.Context, r *Report, found func(Fault)) error {
	var missing int64
	var first weir.Seq
	page := make([]weir.Seq, 0, verifyPage)
	look := func() error {
		records, err := s.Journal.Records(ctx, page)
		for i, rec := range records {
			if rec == nil || rec.Event == nil {
				if missing == 0 {
					first = page[i]
				}
				missing++
			}
		}
		page = page[:0]
		return err
	}
	err := s.State.Members(ctx, 0, r.Head, func(seq weir.Seq) error {
		r.Members++
		if page = append(page, seq); len(page) == verifyPage {
			return look()
		}
		return nil
	})
	if err == nil {
		err = look()
	}
	if missing > 0 {
		found(Fault{
			Where: "state", Do: maybeErased,
			What: fmt.Sprintf("%d members of groups and runs are not in the journal, the first of them record %d", missing, first),
		})
	}
	return err
}
