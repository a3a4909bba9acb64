package lane

import "slices"

// order compares the elements of a heap and learns where they are.
type order[E any] interface {
	before(a, b E) bool
	moved(e E, at int)
}

// push adds e to the heap h. A full one is doubled: append grows long ones by a
// quarter, and a million runs would leave four times their heap behind.
func push[E any, O order[E]](o O, h []E, e E) []E {
	if len(h) == cap(h) {
		h = slices.Grow(h, max(1, len(h)))
	}
	h = append(h, e)
	up(o, h, len(h)-1)
	return h
}

// remove takes out the element at i.
func remove[E any, O order[E]](o O, h []E, i int) []E {
	last := len(h) - 1
	e := h[last]
	var none E
	h[last] = none
	h = h[:last]
	if i < last {
		h[i] = e
		fix(o, h, i)
	}
	return h
}

// fix puts the element at i where it belongs after it changed.
func fix[E any, O order[E]](o O, h []E, i int) {
	if i > 0 && o.before(h[i], h[(i-1)/2]) {
		up(o, h, i)
		return
	}
	down(o, h, i)
}

func up[E any, O order[E]](o O, h []E, i int) {
	e := h[i]
	for i > 0 {
		parent := (i - 1) / 2
		if !o.before(e, h[parent]) {
			break
		}
		h[i] = h[parent]
		o.moved(h[i], i)
		i = parent
	}
	h[i] = e
	o.moved(e, i)
}

func down[E any, O order[E]](o O, h []E, i int) {
	e := h[i]
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && o.before(h[child+1], h[child]) {
			child++
		}
		if !o.before(h[child], e) {
			break
		}
		h[i] = h[child]
		o.moved(h[i], i)
		i = child
	}
	h[i] = e
	o.moved(e, i)
}
