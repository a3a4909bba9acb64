package auth

import (
	"weir"
)

// Role is what a principal may do. Each may do what those before it may.
type Role uint8

// The roles, from least to most.
const (
	Viewer    Role = iota + 1 // read
	Publisher                 // publish events
	Editor                    // apply definitions, order runs
	Admin                     // secrets, tokens; without a project also the server
)

var roleNames = [...]string{Viewer: "viewer", Publisher: "publisher", Editor: "editor", Admin: "admin"}

// String returns the role's word.
func (r Role) String() string {
	if r == 0 || int(r) >= len(roleNames) {
		return "none"
	}
	return roleNames[r]
}

// ParseRole reads what String writes.
func ParseRole(s string) (Role, error) {
	for i, name := range roleNames {
		if name != "" && name == s {
			return Role(i), nil
		}
	}
	return 0, weir.E("", weir.Invalid, "%q is no role: use viewer, publisher, editor or admin", s).WithField("role")
}

// Principal is who calls.
type Principal struct {
	Name    string // of the token
	Role    Role
	Project weir.ProjectID // the only one that it may act in; 0: all
}

// Need fails with Forbidden where the principal's role is less than role.
func (p Principal) Need(role Role) error {
	if p.Role < role {
		return weir.E("", weir.Forbidden, "this needs the role %s, and the token %q has %s", role, p.Name, p.Role)
	}
	return nil
}

// NeedServer fails with Forbidden where the principal is no admin of the server:
// an admin whose token is of no single project.
func (p Principal) NeedServer() error {
	if err := p.Need(Admin); err != nil {
		return err
	}
	if p.Project != 0 {
		return weir.E("", weir.Forbidden, "this is the whole server's, and the token %q is for one project", p.Name)
	}
	return nil
}

// Enter fails with Forbidden where the principal may not act in the project.
func (p Principal) Enter(project weir.ProjectID) error {
	if p.Project != 0 && p.Project != project {
		return weir.E("", weir.Forbidden, "the token %q is for another project", p.Name)
	}
	return nil
}
