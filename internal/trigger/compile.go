package trigger

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"weir"
	"weir/internal/expr"
	"weir/internal/timex"
)

// Compiled is a trigger ready to match. It never changes.
type Compiled struct {
	Def      weir.Trigger
	Revision uint64 // of the definition
	Grouped  bool   // it keeps groups; otherwise it fires at each match

	shape  weir.Identity
	tests  []expr.Criterion // the criteria of match and fire, each once
	match  []int            // tests by criterion of match
	fire   []int            // tests by criterion of fire
	key    []keyPart
	expire *timex.Expr // nil: never
}

type keyPart struct {
	name string
	of   *expr.Program
}

// Compile checks a trigger and plans its expressions. The error is a
// *weir.Error whose field is a path as "triggers.NAME.match[0].where"; where an
// expression does not compile, its *expr.CompileError or *timex.SyntaxError is
// in the chain.
func Compile(def *weir.Trigger, revision uint64) (*Compiled, error) {
	c := &Compiled{Def: *def, Revision: revision, Grouped: def.Grouped()}
	if err := c.compile(); err != nil {
		err.Field = "triggers." + def.Name + "." + err.Field
		return nil, err
	}
	shape, err := json.Marshal([]any{def.Match, def.GroupBy, def.Fire})
	if err != nil {
		return nil, fmt.Errorf("hash shape of trigger %s: %w", def.Name, err)
	}
	sum := sha256.Sum256(shape)
	c.shape = weir.Identity(sum[:16])
	return c, nil
}

func (c *Compiled) compile() *weir.Error {
	var err *weir.Error
	if len(c.Def.Match) == 0 {
		return weir.E("", weir.Invalid, "a trigger needs match, or fire with criteria").WithField("match")
	}
	known := map[string]int{}
	if c.match, err = c.criteria("match", c.Def.Match, known); err != nil {
		return err
	}
	if c.fire, err = c.criteria("fire", c.Def.Fire, known); err != nil {
		return err
	}
	if err := c.compileKey(); err != nil {
		return err
	}
	return c.compileExpire()
}

// criteria compiles criteria into tests; those that ask the same share one.
func (c *Compiled) criteria(field string, from []weir.Criterion, known map[string]int) ([]int, *weir.Error) {
	out := make([]int, 0, len(from))
	for i, criterion := range from {
		at := fmt.Sprintf("%s[%d]", field, i)
		if criterion.Count < 0 {
			return nil, weir.E("", weir.Invalid, "count is %d, and 1 is the least", criterion.Count).WithField(at + ".count")
		}
		same := fmt.Sprintf("%v %q %q", criterion.Types == nil, criterion.Types, criterion.Where)
		n, ok := known[same]
		if !ok {
			test, err := compileCriterion(criterion, at)
			if err != nil {
				return nil, err
			}
			n = len(c.tests)
			c.tests = append(c.tests, test)
			known[same] = n
		}
		out = append(out, n)
	}
	return out, nil
}

func compileCriterion(criterion weir.Criterion, at string) (test expr.Criterion, failed *weir.Error) {
	var err error
	if test.Types, err = expr.CompileGlobs(criterion.Types); err != nil {
		return test, weir.E("", weir.Invalid, "%w", err).WithField(at + ".type")
	}
	if criterion.Where == "" {
		return test, nil
	}
	if test.Where, err = expr.CompileCondition(criterion.Where, expr.ScopeEvent); err != nil {
		return test, weir.E("", weir.Invalid, "%w", err).WithField(at + ".where")
	}
	return test, nil
}

func (c *Compiled) compileKey() *weir.Error {
	for i, part := range c.Def.GroupBy {
		field := "group_by." + part.Name
		if slices.ContainsFunc(c.Def.GroupBy[:i], func(p weir.KeyPart) bool { return p.Name == part.Name }) {
			return weir.E("", weir.Invalid, "given twice").WithField(field)
		}
		of, err := expr.Compile(part.Of, expr.ScopeEvent)
		if err != nil {
			return weir.E("", weir.Invalid, "%w", err).WithField(field)
		}
		c.key = append(c.key, keyPart{name: part.Name, of: of})
	}
	return nil
}

func (c *Compiled) compileExpire() *weir.Error {
	if c.Def.Expire == "" {
		if c.Grouped {
			return weir.E("", weir.Invalid, "a trigger with groups needs expire, such as opened + 1h").WithField("expire")
		}
		return nil
	}
	expire, err := timex.Parse(c.Def.Expire)
	if err != nil {
		return weir.E("", weir.Invalid, "%w", err).WithField("expire")
	}
	c.expire = expire
	return nil
}

// Shape returns a hash of match, group_by and fire: a version with another
// shape does not take over the open groups.
func (c *Compiled) Shape() weir.Identity { return c.shape }

// Expire returns when a group with the given times expires, or that it never
// does.
func (c *Compiled) Expire(in timex.Inputs) (at weir.Time, never bool) {
	if c.expire == nil {
		return 0, true
	}
	return c.expire.At(in)
}
