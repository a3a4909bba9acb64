package schema

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"weir"
)

// fault is one thing that does not fit.
type fault struct {
	path     []string
	sentence string // names no value of the data: it stands in lists of refusals
}

// faultOf makes an error of the fault that a person should see first.
func faultOf(failed *jsonschema.ValidationError, name string) *weir.Error {
	f := firstFault(failed)
	field := name
	for _, part := range f.path {
		field = join(field, part)
	}
	return invalid(field, "%s", f.sentence)
}

// firstFault descends to the faults themselves. The library goes through
// objects in no order, so of several the first by place and words is taken.
func firstFault(e *jsonschema.ValidationError) fault {
	switch k := e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		return closest(e)
	case *kind.PropertyNames: // its causes do not know the name
		return fault{append(slices.Clone(e.InstanceLocation), k.Property), "has a name that the schema does not allow"}
	}
	if len(e.Causes) == 0 {
		return faultAt(e)
	}
	faults := faultsOf(e.Causes)
	return slices.MinFunc(faults, compareFaults)
}

func faultsOf(causes []*jsonschema.ValidationError) []fault {
	faults := make([]fault, len(causes))
	for i, c := range causes {
		faults[i] = firstFault(c)
	}
	return faults
}

func compareFaults(a, b fault) int {
	return cmp.Or(slices.Compare(a.path, b.path), strings.Compare(a.sentence, b.sentence))
}

// closest tells of alternatives of which none fits: the one that fits furthest
// into the value, or all of them.
func closest(e *jsonschema.ValidationError) fault {
	here := fault{path: e.InstanceLocation, sentence: "fits more than one of the alternatives, and may fit only one"}
	if len(e.Causes) == 0 {
		return here
	}
	faults := faultsOf(e.Causes)
	deepest := slices.MaxFunc(faults, func(a, b fault) int { return len(a.path) - len(b.path) })
	if len(deepest.path) > len(here.path) {
		return deepest
	}
	sentences := make([]string, len(faults))
	for i, f := range faults {
		sentences[i] = f.sentence
	}
	slices.Sort(sentences)
	here.sentence = strings.Join(slices.Compact(sentences), "; or it ")
	return here
}

// faultAt says what is wrong.
func faultAt(e *jsonschema.ValidationError) fault {
	f := fault{path: e.InstanceLocation}
	child := func(names []string) {
		f.path = append(slices.Clone(f.path), slices.Min(names))
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		child(k.Missing)
		f.sentence = "is missing"
	case *kind.DependentRequired:
		child(k.Missing)
		f.sentence = fmt.Sprintf("is missing, and %s is there", quote(k.Prop))
	case *kind.Dependency:
		child(k.Missing)
		f.sentence = fmt.Sprintf("is missing, and %s is there", quote(k.Prop))
	case *kind.AdditionalProperties:
		child(k.Properties)
		f.sentence = "is no property that the schema names"
	case *kind.FalseSchema:
		f.sentence = "may not be there"
	case *kind.Not:
		f.sentence = "is what the schema excludes"
	case *kind.RefCycle:
		f.sentence = "cannot be checked: the schema refers to itself without end"
	default:
		f.sentence = valueSentence(e.ErrorKind)
	}
	return f
}

func valueSentence(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("is %s, and should be %s", k.Got, strings.Join(k.Want, " or "))
	case *kind.Enum:
		return "is none of " + values(k.Want)
	case *kind.Const:
		return "is not " + values([]any{k.Want})
	case *kind.Format:
		if k.Want == "regex" {
			return "is no regular expression that is taken (RE2), or too large"
		}
		return "is no " + k.Want
	case *kind.Pattern:
		return "does not match " + quote(k.Want)
	case *kind.Minimum:
		return "is less than " + decimal(k.Want)
	case *kind.Maximum:
		return "is more than " + decimal(k.Want)
	case *kind.ExclusiveMinimum:
		return "is not more than " + decimal(k.Want)
	case *kind.ExclusiveMaximum:
		return "is not less than " + decimal(k.Want)
	case *kind.MultipleOf:
		return "is no multiple of " + decimal(k.Want)
	case *kind.MinLength:
		return fmt.Sprintf("has %d characters, and %d are the least", k.Got, k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("has %d characters, and %d are the most", k.Got, k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("has %d items, and %d are the least", k.Got, k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("has %d items, and %d are the most", k.Got, k.Want)
	case *kind.MinProperties:
		return fmt.Sprintf("has %d properties, and %d are the least", k.Got, k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("has %d properties, and %d are the most", k.Got, k.Want)
	case *kind.UniqueItems:
		return fmt.Sprintf("has the same item twice, at %d and %d", k.Duplicates[0], k.Duplicates[1])
	case *kind.Contains:
		return "has no item of the kind that it should contain"
	default:
		return "does not fit the schema's " + strings.Join(k.KeywordPath(), " ")
	}
}

// values lists what the schema allows.
func values(list []any) string {
	b, err := json.Marshal(list)
	if err != nil {
		return "what the schema allows"
	}
	return clip(strings.ReplaceAll(string(b[1:len(b)-1]), ",", ", "))
}

func quote(s string) string { return fmt.Sprintf("%q", clip(s)) }

func decimal(r *big.Rat) string {
	if r.IsInt() {
		return clip(r.Num().String())
	}
	f, _ := r.Float64()
	return fmt.Sprint(f)
}
