package export

import "weir"

func steps(all []weir.Step) list {
	out := list{}
	for i := range all {
		out = append(out, mapping{{all[i].Kind(), step(&all[i])}})
	}
	return out
}

func step(s *weir.Step) any {
	switch {
	case s.Filter != nil:
		return s.Filter.Where
	case s.Transform != nil:
		m := mapping{}
		add(&m, "set", named(s.Transform.Set))
		add(&m, "remove", oneOrMore(s.Transform.Remove))
		return m
	case s.JQ != nil:
		return s.JQ.Program
	case s.HTTP != nil:
		return httpStep(s.HTTP)
	case s.Emit != nil:
		return emitStep(s.Emit)
	case s.Log != nil:
		m := mapping{}
		set(&m, "message", s.Log.Message)
		set(&m, "level", s.Log.Level)
		set(&m, "each", s.Log.Each)
		return m
	}
	return nil
}

func httpStep(h *weir.HTTPStep) mapping {
	m := mapping{}
	set(&m, "method", h.Method)
	set(&m, "url", h.URL)
	add(&m, "headers", named(h.Headers))
	if h.Body != nil {
		m = append(m, entry{"body", fromJSON(h.Body)})
	}
	set(&m, "mode", h.Mode)
	set(&m, "each", h.Each)
	set(&m, "timeout", duration(h.Timeout))
	set(&m, "sign", h.Sign)
	add(&m, "success", oneOrMore(h.Success))
	if h.Response == "emit" {
		set(&m, "response", "emit "+h.EmitType)
	} else {
		set(&m, "response", h.Response)
	}
	return m
}

func emitStep(e *weir.EmitStep) mapping {
	m := mapping{}
	set(&m, "type", e.Type)
	set(&m, "source", e.Source)
	set(&m, "subject", e.Subject)
	if e.Data != nil {
		m = append(m, entry{"data", fromJSON(e.Data)})
	}
	set(&m, "each", e.Each)
	return m
}
