package sqlite

import (
	"context"
	"database/sql/driver"
	"strings"
)

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
