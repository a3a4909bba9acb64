package cli

import "github.com/spf13/cobra"

// topics are pages of help that are about no command.
func topics() []*cobra.Command {
	return []*cobra.Command{
		{
			Use:   "environment",
			Short: "The variables that commands and server read",
			Long: `Commands that talk to a server:
  WEIR_URL       where it is, as --url (http://127.0.0.1:9347)
  WEIR_TOKEN     the token, as --token
  WEIR_PROJECT   the project, as --project; for tokens of several

weir serve and weir config: WEIR_CONFIG names the YAML file; each setting has a variable, such as
WEIR_DATA for data and WEIR_LIMITS_BODY for limits.body. A flag overrides a variable, and that
the file. WEIR_ADMIN_TOKEN is the first administrator's token, at the first start only.

NO_COLOR, if it is set, and TERM=dumb leave out colours and lines that are drawn anew.`,
			Example: "  export WEIR_URL=https://weir.example WEIR_TOKEN=weir_…\n  weir config print",
		},
		{
			Use:   "output",
			Short: "The forms of output",
			Long: `  -o table   for people; the default
  -o json    what the API answered: a document, or with --follow one a line
  -o ids     lists only: one id or name a line, for the next command

Results go to standard output; progress, warnings, how far a search looked, and errors to
standard error. With --all a list is read page by page: -o json prints a document for each.`,
			Example: "  weir runs --state dead -o ids | xargs weir runs show\n  weir events --all -o json | jq -r '.items[].type' | sort | uniq -c",
		},
		{
			Use:   "exit-status",
			Short: "What the exit status of a command says",
			Long: `  0    done
  1    internal error
  2    wrong input or usage: invalid, too_large; also where a part was refused
  3    not allowed: unauthenticated, forbidden
  4    not found: not_found
  5    conflict
  6    not now, try again later: limited, behind, unavailable, disk_full
  10   weir runs logs --follow: the run is dead
  11   likewise: it was cancelled
  130  interrupted

A list that is followed ends with 0 at Ctrl-C: nothing of it was lost.`,
			Example: "  weir runs logs -f run_019a3f… || echo \"it did not succeed: $?\"",
		},
	}
}
