package journal

import (
	"time"

	"weir"
)

// The order of fields here is the format: a new field goes to the end of its
// noun, with a new Version.

func (e *encoder) event(v *weir.Event) {
	e.body(inlineData(v))
	e.string(v.ID)
	e.string(v.Source)
	e.string(v.Type)
	e.string(v.Subject)
	e.signed(int64(v.Time))
	e.string(v.ContentType)
	e.string(v.Schema)
	e.string(v.Execution)
	e.id(v.Cause)
	e.signed(int64(v.Hops))
	e.number(uint64(len(v.Extensions)))
	for i := range v.Extensions {
		x := &v.Extensions[i]
		e.string(x.Name)
		e.byte(byte(x.Kind))
		e.string(x.Value)
	}
	e.flag(v.Blob != nil)
	if v.Blob != nil {
		e.blob(v.Blob)
	}
}

func (e *encoder) blob(v *weir.Blob) {
	e.string(v.ID)
	e.signed(v.Size)
	e.b = append(e.b, v.Sum[:]...)
	e.flag(v.File)
}

func (d *decoder) blob() *weir.Blob {
	v := &weir.Blob{ID: d.string(), Size: d.signed()}
	if len(d.b) < len(v.Sum) {
		d.fail()
		return nil
	}
	d.b = d.b[copy(v.Sum[:], d.b):]
	v.File = d.flag()
	return v
}

func (d *decoder) event(v *weir.Event) {
	v.Data = d.body()
	v.ID = d.string()
	v.Source = d.string()
	v.Type = d.string()
	v.Subject = d.string()
	v.Time = weir.Time(d.signed())
	v.ContentType = d.string()
	v.Schema = d.string()
	v.Execution = d.string()
	v.Cause = d.id()
	v.Hops = int(d.signed())
	if n := d.count(3); n > 0 {
		v.Extensions = make([]weir.Extension, n)
	}
	for i := range v.Extensions {
		v.Extensions[i] = weir.Extension{Name: d.string(), Kind: weir.ExtensionKind(d.byte()), Value: d.string()}
	}
	if d.flag() {
		if v.Data != nil {
			d.fail()
		}
		v.Blob = d.blob()
	}
}

func (e *encoder) change(v *weir.Change) {
	e.b = append(e.b, v.Run[:]...)
	e.number(uint64(v.N))
	e.byte(byte(v.Kind))
	e.string(v.Pipeline)
	e.string(v.Trigger)
	e.signed(int64(v.After))
	e.string(v.Origin)
	e.string(v.Error)
	e.string(v.By)
	e.flag(v.Attempt != nil)
	if v.Attempt != nil {
		e.attempt(v.Attempt)
	}
	e.flag(v.Firing != nil)
	if v.Firing != nil {
		e.firing(v.Firing)
	}
}

func (d *decoder) change(v *weir.Change) {
	if len(d.b) < len(v.Run) {
		d.fail()
		return
	}
	copy(v.Run[:], d.b)
	d.b = d.b[len(v.Run):]
	n := d.number()
	v.N = uint32(n)
	if uint64(v.N) != n {
		d.fail()
	}
	v.Kind = weir.ChangeKind(d.byte())
	v.Pipeline = d.string()
	v.Trigger = d.string()
	v.After = time.Duration(d.signed())
	v.Origin = d.string()
	v.Error = d.string()
	v.By = d.string()
	if d.flag() {
		v.Attempt = d.attempt()
	}
	if d.flag() {
		v.Firing = d.firing()
	}
}

func (e *encoder) attempt(v *weir.Attempt) {
	e.signed(int64(v.Try))
	e.string(v.Node)
	e.signed(int64(v.Began))
	e.signed(int64(v.Took))
	e.string(v.Log)
	e.number(uint64(len(v.Steps)))
	for i := range v.Steps {
		s := &v.Steps[i]
		e.body(s.Output)
		e.signed(int64(s.Index))
		e.string(s.Kind)
		e.flag(s.Finished)
		e.signed(int64(s.Took))
		e.string(s.Error)
		e.string(s.Detail)
		e.signed(int64(s.Emitted))
		e.signed(int64(s.Acted))
	}
	e.byte(byte(v.Verdict))
}

func (d *decoder) attempt() *weir.Attempt {
	v := &weir.Attempt{
		Try:   int(d.signed()),
		Node:  d.string(),
		Began: weir.Time(d.signed()),
		Took:  time.Duration(d.signed()),
		Log:   d.string(),
	}
	if n := d.count(9); n > 0 {
		v.Steps = make([]weir.StepOutcome, n)
	}
	for i := range v.Steps {
		s := &v.Steps[i]
		s.Output = d.body()
		s.Index = int(d.signed())
		s.Kind = d.string()
		s.Finished = d.flag()
		s.Took = time.Duration(d.signed())
		s.Error = d.string()
		s.Detail = d.string()
		s.Emitted = int(d.signed())
		s.Acted = int(d.signed())
	}
	if d.version >= 3 {
		v.Verdict = weir.Verdict(d.byte())
	}
	return v
}

func (e *encoder) firing(v *weir.Firing) {
	e.byte(byte(v.Reason))
	e.string(v.Trigger)
	e.number(v.Revision)
	e.string(v.Key)
	e.id(v.Group)
	e.number(v.PipeRev)
	e.signed(int64(v.Made))
	e.signed(int64(v.Chunks))
	e.signed(int64(v.Hops))
	e.flag(v.Quiet)
	e.number(uint64(len(v.Executions)))
	for _, x := range v.Executions {
		e.string(x)
	}
	e.members(v.Members)
	e.string(v.Error)
}

func (d *decoder) firing() *weir.Firing {
	v := &weir.Firing{
		Reason:   weir.Reason(d.byte()),
		Trigger:  d.string(),
		Revision: d.number(),
		Key:      d.string(),
		Group:    d.id(),
		PipeRev:  d.number(),
		Made:     weir.Time(d.signed()),
		Chunks:   int(d.signed()),
		Hops:     int(d.signed()),
		Quiet:    d.flag(),
	}
	if n := d.count(1); n > 0 {
		v.Executions = make([]string, n)
	}
	for i := range v.Executions {
		v.Executions[i] = d.string()
	}
	v.Members = d.members()
	v.Error = d.string()
	return v
}

// members writes each member as its distance to the one before, which is short
// in a batch's order.
func (e *encoder) members(list []weir.Member) {
	e.number(uint64(len(list)))
	var last weir.Member
	for _, m := range list {
		e.signed(int64(m.Time - last.Time))
		e.signed(int64(m.Seq - last.Seq))
		last = m
	}
}

func (d *decoder) members() []weir.Member {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	list := make([]weir.Member, n)
	var last weir.Member
	for i := range list {
		last.Time += weir.Time(d.signed())
		last.Seq += weir.Seq(d.signed())
		list[i] = last
	}
	return list
}

func (e *encoder) apply(v *weir.Apply) {
	e.number(v.Revision)
	e.string(v.By)
	e.definitions(v.Put)
	e.definitions(v.Delete)
	e.flag(v.DropGroups)
}

func (d *decoder) apply() *weir.Apply {
	return &weir.Apply{Revision: d.number(), By: d.string(), Put: d.definitions(), Delete: d.definitions(), DropGroups: d.flag()}
}

func (e *encoder) definitions(list []weir.Definition) {
	e.number(uint64(len(list)))
	for i := range list {
		e.string(string(list[i].Kind))
		e.string(list[i].Name)
		e.number(list[i].Revision)
		e.string(list[i].From)
		e.body(list[i].Body)
	}
}

func (d *decoder) definitions() []weir.Definition {
	n := d.count(5)
	if n == 0 {
		return nil
	}
	list := make([]weir.Definition, n)
	for i := range list {
		list[i] = weir.Definition{
			Kind: weir.DefinitionKind(d.string()), Name: d.string(), Revision: d.number(), From: d.string(), Body: d.body(),
		}
	}
	return list
}

func (e *encoder) order(v *weir.Start) {
	e.string(v.Application)
	e.string(v.Key)
	e.number(v.Generation)
	e.string(v.Pipeline)
	e.signed(int64(v.Due))
	e.string(v.By)
}

func (d *decoder) order() *weir.Start {
	return &weir.Start{
		Application: d.string(), Key: d.string(), Generation: d.number(), Pipeline: d.string(),
		Due: weir.Time(d.signed()), By: d.string(),
	}
}

// inlineData is the data that is written with the event's record.
func inlineData(v *weir.Event) []byte {
	if v.Blob != nil {
		return nil
	}
	return v.Data
}

func outputSize(c *weir.Change) (n int) {
	if c.Attempt != nil {
		for i := range c.Attempt.Steps {
			n += len(c.Attempt.Steps[i].Output)
		}
	}
	return n
}

func appendOutputs(b []byte, c *weir.Change) []byte {
	if c.Attempt != nil {
		for i := range c.Attempt.Steps {
			b = append(b, c.Attempt.Steps[i].Output...)
		}
	}
	return b
}

func bodySize(a *weir.Apply) (n int) {
	for i := range a.Put {
		n += len(a.Put[i].Body)
	}
	for i := range a.Delete {
		n += len(a.Delete[i].Body)
	}
	return n
}

func appendBodies(b []byte, a *weir.Apply) []byte {
	for i := range a.Put {
		b = append(b, a.Put[i].Body...)
	}
	for i := range a.Delete {
		b = append(b, a.Delete[i].Body...)
	}
	return b
}
