package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"

	"weir"
)

// conn is one connection with its prepared statements. The driver is used
// without database/sql, whose handling of arguments and rows costs more than
// SQLite's own work on our narrow rows. It is for one goroutine at a time.
type conn struct {
	raw   driver.Conn
	stmts map[string]driver.Stmt // by text; texts are few
	wrote int64                  // rows, in this transaction

	// Scratch of the statement that is being put together.
	named  []driver.NamedValue
	values []driver.Value
	bodies []byte
}

// Statements come in these two forms; the driver has both.
type (
	preparer interface {
		PrepareContext(ctx context.Context, query string) (driver.Stmt, error)
	}
	statement interface {
		driver.StmtExecContext
		driver.StmtQueryContext
	}
)

func connect(ctx context.Context, connector driver.Connector) (*conn, error) {
	raw, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{raw: raw, stmts: map[string]driver.Stmt{}}, nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.raw.Close())...)
}

func (c *conn) prepared(text string) (statement, error) {
	s, ok := c.stmts[text]
	if !ok {
		var err error
		if s, err = c.raw.(preparer).PrepareContext(context.Background(), text); err != nil {
			return nil, err
		}
		c.stmts[text] = s
	}
	return s.(statement), nil
}

func (c *conn) bound(args []driver.Value) []driver.NamedValue {
	c.named = c.named[:0]
	for i, v := range args {
		c.named = append(c.named, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return c.named
}

// body returns what f appends to scratch. It is valid until the next statement
// was executed: the driver copies what it binds.
func (c *conn) body(f func([]byte) []byte) []byte {
	begin := len(c.bodies)
	c.bodies = f(c.bodies)
	return c.bodies[begin:len(c.bodies):len(c.bodies)]
}

// exec runs a statement and returns how many rows it wrote. A ctx that ends
// stops a transaction between statements, not inside one: an interrupted
// statement would cost the connection its prepared ones.
func (c *conn) exec(ctx context.Context, text string, args ...driver.Value) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s, err := c.prepared(text)
	if err != nil {
		return 0, err
	}
	result, err := s.ExecContext(context.Background(), c.bound(args))
	c.bodies = c.bodies[:0]
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	c.wrote += n
	return n, err
}

// script runs statements that are not worth preparing, or several at once.
func (c *conn) script(text string) error {
	_, err := c.raw.(driver.ExecerContext).ExecContext(context.Background(), text, nil)
	return err
}

// query calls each for every row. The row is valid during the call only.
func (c *conn) query(ctx context.Context, text string, args []driver.Value, each func(row) error) error {
	s, err := c.prepared(text)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(ctx, c.bound(args))
	if err != nil {
		return err
	}
	r := make(row, len(rows.Columns()))
	for {
		if err = rows.Next(r); err != nil {
			break
		}
		if err = each(r); err != nil {
			break
		}
	}
	if errors.Is(err, io.EOF) {
		err = ctx.Err()
	}
	return errors.Join(err, rows.Close())
}

// first calls each for the first row and reports whether there was one.
func (c *conn) first(ctx context.Context, text string, args []driver.Value, each func(row) error) (bool, error) {
	found := false
	err := c.query(ctx, text, args, func(r row) error {
		if found {
			return nil
		}
		found = true
		return each(r)
	})
	return found, err
}

// row is a row of a result. Its accessors give zero for a null; strict tables
// keep the kinds right.
type row []driver.Value

func (r row) int(i int) int64 {
	v, _ := r[i].(int64)
	return v
}

func (r row) time(i int) weir.Time { return weir.Time(r.int(i)) }

// turn reads the columns of a place among the runs of an ordered key.
func (r row) turn(i int) weir.Precedence {
	return weir.Precedence{Due: r.time(i), Seq: weir.Seq(r.int(i + 1))}
}

func (r row) text(i int) string {
	v, _ := r[i].(string)
	return v
}

func (r row) blob(i int) []byte {
	v, _ := r[i].([]byte)
	return v
}

// id reads a column of 16 bytes.
func (r row) id(i int) (id [16]byte, err error) {
	b := r.blob(i)
	if len(b) != len(id) {
		return id, fmt.Errorf("an id of %d bytes", len(b))
	}
	return [16]byte(b), nil
}

// sizes are the numbers of rows that statements take. A bulk is cut greedily,
// so that few statements are prepared and a long bulk is mostly the longest.
// Fifty rows a statement cost a half to a third of one by one; more gain
// nothing.
var sizes = [...]int{50, 10, 1}

// bulk is a statement over many rows: one text for each size.
type bulk struct {
	texts [len(sizes)]string
}

// puts makes the statement that inserts rows of the columns, or updates those
// whose key is there as update says.
func puts(table, columns, update string) bulk {
	one := "(" + strings.Repeat("?, ", strings.Count(columns, ",")) + "?)"
	return listed("INSERT INTO "+table+" ("+columns+") VALUES ", one, " "+update)
}

// removes makes the statement that deletes rows by a column.
func removes(table, column string) bulk {
	return listed("DELETE FROM "+table+" WHERE "+column+" IN (", "?", ")")
}

func listed(before, one, after string) bulk {
	var b bulk
	for i, n := range sizes {
		b.texts[i] = before + strings.Repeat(one+", ", n-1) + one + after
	}
	return b
}

// run executes b for n rows; arguments appends those of row i.
func (b *bulk) run(ctx context.Context, c *conn, n int, arguments func(args []driver.Value, i int) []driver.Value) error {
	i := 0
	for k, size := range sizes {
		for n-i >= size {
			c.values = c.values[:0]
			for range size {
				c.values = arguments(c.values, i)
				i++
			}
			if _, err := c.exec(ctx, b.texts[k], c.values...); err != nil {
				return err
			}
		}
	}
	return nil
}

// gets are the numbers of ids that a look-up takes. The last id fills what is
// left of one; SQLite looks it up once.
var gets = [...]int{1, 16, 256}

// byIDs calls each for the rows that text finds, where text ends in an IN of
// the ids with tail behind it.
func (c *conn) byIDs(ctx context.Context, q lookup, ids [][]byte, each func(row) error) error {
	for len(ids) > 0 {
		k := 0
		for k < len(gets)-1 && gets[k] < len(ids) {
			k++
		}
		n := min(len(ids), gets[k])
		args := make([]driver.Value, gets[k])
		for i := range args {
			args[i] = ids[min(i, n-1)]
		}
		if err := c.query(ctx, q[k], args, each); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// lookup is a query by ids: one text for each number in gets.
type lookup [len(gets)]string

func looks(before, after string) lookup {
	var q lookup
	for i, n := range gets {
		q[i] = before + " IN (" + strings.Repeat("?, ", n-1) + "?)" + after
	}
	return q
}
