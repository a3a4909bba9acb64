package sealed

// Check reads every page. Pause is called as by Builder.Finish.
func (x *Index) Check(pause func() error) error {
	b := make([]byte, pagesAtOnce*pageSize)
	rows, keys := len(x.places), len(x.firsts)
	for page, end := 0, 1+rows+keys+pages(rows, payload/4)+pages(keys, keysAPage); page < end; page += len(b) / pageSize {
		b = b[:min(pagesAtOnce, end-page)*pageSize]
		if err := x.read(b, page); err != nil {
			return err
		}
		if err := pause(); err != nil {
			return err
		}
	}
	return nil
}
