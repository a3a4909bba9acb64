package pg_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"weir/internal/pg/pgtest"
)

var update = flag.Bool("update", false, "write the golden files")

// selectSchema lists tables with their columns, constraints and indexes, and
// functions, one a line. Partitions are made by day and week, and left out.
const selectSchema = `
WITH tables AS (
  SELECT c.oid, c.relname, c.reloptions FROM pg_class AS c
  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
), lines AS (
  SELECT relname AS of, 0 AS kind, 0 AS nth, concat_ws(' ', 'table', relname, 'partition by ' || pg_get_partkeydef(oid), array_to_string(reloptions, ', ')) AS line
  FROM tables
  UNION ALL
  SELECT relname, 1, attnum, concat_ws(' ', '  ', attname, format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'not null' END,
    'collate ' || (SELECT collname FROM pg_collation WHERE pg_collation.oid = attcollation AND collname <> 'default'),
    'default ' || (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum), CASE WHEN attidentity <> '' THEN 'identity' END)
  FROM tables JOIN pg_attribute ON attrelid = tables.oid WHERE attnum > 0 AND NOT attisdropped
  UNION ALL
  SELECT relname, 2, row_number() OVER (ORDER BY conname)::int, concat_ws(' ', '  ', conname, pg_get_constraintdef(pg_constraint.oid))
  FROM tables JOIN pg_constraint ON conrelid = tables.oid WHERE contype <> 'n'
  UNION ALL
  SELECT relname, 3, row_number() OVER (ORDER BY indexrelid::regclass::text), '   ' || pg_get_indexdef(indexrelid)
  FROM tables JOIN pg_index ON indrelid = tables.oid WHERE NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid)
  UNION ALL
  SELECT proname, 4, 0, concat_ws(' ', 'routine', proname, pg_get_function_identity_arguments(oid))
  FROM pg_proc WHERE pronamespace = 'public'::regnamespace
) SELECT line FROM lines ORDER BY kind = 4, of COLLATE "C", kind, nth`

// TestSchemaIsTheGoldenOne shows what all migrations together make, for review.
func TestSchemaIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	rows, err := open(t, pgtest.New(t)).Query(t.Context(), selectSchema)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	got, golden := strings.Join(lines, "\n")+"\n", filepath.Join("testdata", "schema.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the schema is not the golden one; look at it, then run with -update (-want +got):\n%s", diff)
	}
}
