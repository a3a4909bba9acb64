package trigger_test

import (
	"fmt"
	"testing"

	"weir"
	"weir/internal/trigger"
)

// BenchmarkMatch is one event offered to n triggers, of which it matches one.
func BenchmarkMatch(b *testing.B) {
	data := `{"order_id":"o-1","customer":"c1","amount":12.5,"currency":"EUR","items":[{"sku":"a","qty":1}],"note":"hello"}`
	shapes := map[string]func(i int) weir.Trigger{
		"where": func(i int) weir.Trigger {
			return weir.Trigger{Match: []weir.Criterion{
				{Types: []string{"order.placed"}, Where: fmt.Sprintf(`data.customer == "c%d"`, i)},
			}}
		},
		"type": func(i int) weir.Trigger {
			name := "order.placed"
			if i != 1 {
				name = fmt.Sprintf("order.placed.%d", i)
			}
			return weir.Trigger{Match: []weir.Criterion{{Types: []string{name}}}}
		},
		"grouped": func(i int) weir.Trigger {
			return weir.Trigger{
				Match:   []weir.Criterion{{Types: []string{"order.*"}, Where: fmt.Sprintf(`data.customer == "c%d"`, i)}},
				GroupBy: []weir.KeyPart{{Name: "customer", Of: "data.customer"}}, Expire: "last + 1h",
				Fire: []weir.Criterion{{Count: 10}},
			}
		},
	}
	for _, shape := range []string{"where", "type", "grouped"} {
		for _, n := range []int{1, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", shape, n), func(b *testing.B) {
				set := benchSet(b, n, shapes[shape])
				rec := event("order.placed", data)
				var r trigger.Result
				b.ReportAllocs()
				for b.Loop() {
					r.Reset()
					set.Match(rec, &r)
				}
				if len(r.Matches) != 1 {
					b.Fatalf("%d matches", len(r.Matches))
				}
			})
		}
	}
}

func benchSet(b *testing.B, n int, make func(i int) weir.Trigger) *trigger.Set {
	b.Helper()
	all := []*trigger.Compiled{}
	for i := 1; i <= n; i++ {
		def := make(i)
		def.Name = fmt.Sprintf("t%05d", i)
		all = append(all, compile(b, def))
	}
	return trigger.NewSet(1, all)
}

// BenchmarkMissAlike is an event without the field that n triggers compare.
func BenchmarkMissAlike(b *testing.B) {
	for _, n := range []int{1, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			set := benchSet(b, n, func(i int) weir.Trigger {
				where := fmt.Sprintf(`data.customer == "c%d"`, i)
				return weir.Trigger{Match: []weir.Criterion{{Types: []string{"order.placed"}, Where: where}}}
			})
			rec := event("order.placed", `{"order_id":"o-1"}`)
			var r trigger.Result
			b.ReportAllocs()
			for b.Loop() {
				r.Reset()
				set.Match(rec, &r)
			}
			if len(r.Matches) != 0 || len(r.Misses) != 1 {
				b.Fatalf("%d matches, %d misses", len(r.Matches), len(r.Misses))
			}
		})
	}
}
