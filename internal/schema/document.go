package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// checkValue bounds depth, and numbers: exact arithmetic would make room for
// every digit of 1e1000000000.
func checkValue(path string, v any, depth int) error {
	switch v := v.(type) {
	case json.Number:
		return checkNumber(path, string(v))
	case map[string]any:
		if depth == 0 {
			return invalid(path, "is deeper than %d", maxDepth)
		}
		for name, child := range v {
			if !simple(child) {
				if err := checkValue(join(path, name), child, depth-1); err != nil {
					return err
				}
			}
		}
	case []any:
		if depth == 0 {
			return invalid(path, "is deeper than %d", maxDepth)
		}
		for i, child := range v {
			if !simple(child) {
				if err := checkValue(join(path, strconv.Itoa(i)), child, depth-1); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// simple reports whether there is nothing to check about a value, which saves
// making its path.
func simple(v any) bool {
	switch v := v.(type) {
	case json.Number:
		return len(v) <= 20 && !strings.ContainsAny(string(v), "eE")
	case map[string]any, []any:
		return false
	default:
		return true
	}
}

const (
	maxDigits   = 100
	maxExponent = 400 // beyond that of a double
)

func checkNumber(path, text string) error {
	digits, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	n, err := 0, error(nil)
	if exponent != "" {
		n, err = strconv.Atoi(exponent)
	}
	if len(digits) > maxDigits || err != nil || n > maxExponent || n < -maxExponent {
		return invalid(path, "is a number of more than %d digits or with an exponent beyond %d", maxDigits, maxExponent)
	}
	return nil
}

// checkDocument holds a schema to what is told from its JSON.
func checkDocument(doc any) error {
	switch doc := doc.(type) {
	case bool:
		return nil
	case map[string]any:
		if draft, ok := doc["$schema"]; ok && !knownDraft(draft) {
			return invalid("schema/$schema", "%v is no draft that is known: use 2020-12, 7, 6 or 4", draft)
		}
		left := maxObjects
		return checkReferences("schema", doc, &left)
	default:
		return invalid("schema", "is no JSON Schema: that is an object, or true or false")
	}
}

func knownDraft(v any) bool {
	url, _ := v.(string)
	url = strings.TrimSuffix(url, "#")
	_, name, _ := strings.Cut(url, "://json-schema.org/")
	return slices.Contains([]string{"draft/2020-12/schema", "draft-07/schema", "draft-06/schema", "draft-04/schema"}, name)
}

// checkReferences counts what may be a schema, and finds references that leave
// the document.
func checkReferences(path string, v any, left *int) error {
	switch v := v.(type) {
	case bool:
		*left--
	case map[string]any:
		*left--
		for name, child := range v {
			switch text, isText := child.(string); {
			case isText && isReference(name) && !strings.HasPrefix(text, "#"):
				return invalid(join(path, name), "%q is not in this document: a reference begins with #, and nothing is loaded", clip(text))
			case isText && name == "$schema" && path != "schema":
				return invalid(join(path, name), "may stand only at the top: the document is of one draft")
			}
			if name == "const" || name == "enum" || name == "default" || name == "examples" {
				continue // values, where they are keywords; else compiling finds what is wrong
			}
			if err := checkReferences(join(path, name), child, left); err != nil {
				return err
			}
		}
	case []any:
		for i, child := range v {
			if err := checkReferences(join(path, strconv.Itoa(i)), child, left); err != nil {
				return err
			}
		}
	}
	if *left < 0 {
		return invalid("schema", "has more than %d parts", maxObjects)
	}
	return nil
}

func isReference(keyword string) bool {
	return keyword == "$ref" || keyword == "$dynamicRef" || keyword == "$recursiveRef"
}

// compileError tells what the library found wrong with a schema.
func compileError(err error) error {
	if bad, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		if failed, ok := errors.AsType[*jsonschema.ValidationError](bad.Err); ok {
			return faultOf(failed, "schema")
		}
	}
	if bad, ok := errors.AsType[*jsonschema.LoadURLError](err); ok {
		return invalid("schema", "%q is not in this document, and nothing is loaded", strings.TrimPrefix(bad.URL, "weir:///"))
	}
	if bad, ok := errors.AsType[*jsonschema.JSONPointerNotFoundError](err); ok {
		return invalid("schema", "refers to %s, which is not there", strings.TrimPrefix(bad.URL, location))
	}
	if bad, ok := errors.AsType[*jsonschema.AnchorNotFoundError](err); ok {
		return invalid("schema", "refers to %s, which is not there", strings.TrimPrefix(bad.Reference, location))
	}
	return invalid("schema", "%s", clip(strings.ReplaceAll(err.Error(), location, "")))
}

// placeOf makes the field of a place that the library names as a URL.
func placeOf(url string) string {
	_, pointer, _ := strings.Cut(url, "#")
	return "schema" + pointer
}

// pattern is a regular expression with how much matching costs for each byte.
type pattern struct {
	*regexp.Regexp
	size int // instructions
}

const (
	maxPattern     = 1000 // bytes
	maxPatternSize = 5000 // instructions
)

func compilePattern(text string) (jsonschema.Regexp, error) {
	if len(text) > maxPattern {
		return nil, fmt.Errorf("%d bytes long, and %d are the most", len(text), maxPattern)
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	if len(prog.Inst) > maxPatternSize {
		return nil, fmt.Errorf("it has %d instructions, and %d are the most", len(prog.Inst), maxPatternSize)
	}
	re, err := regexp.Compile(text)
	return pattern{re, len(prog.Inst)}, err
}

// join adds a name to a path. As in JSON Pointer (RFC 6901), ~ and / of a name
// are written ~0 and ~1.
func join(path, name string) string {
	if strings.ContainsAny(name, "~/") {
		name = strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
	}
	return path + "/" + name
}

const maxQuoted = 200 // bytes of a schema that an error repeats

func clip(s string) string {
	if len(s) > maxQuoted {
		return strings.ToValidUTF8(s[:maxQuoted], "") + "…"
	}
	return s
}
