package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"

	"weir"
)

func environment(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weir.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func diff(want, got Config) string {
	return cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{}, DrainDelay{}), cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(Config{}))
}

func TestDefaultsAreValidAndAsDocumented(t *testing.T) {
	t.Parallel()

	got, err := Load("", environment(nil))

	want := Config{
		Data: "weir-data", Listen: "127.0.0.1:9347", Node: got.Node,
		Duties: []weir.Duty{"api", "dispatch", "work", "upkeep"}, Retention: weir.Duration(30 * 24 * time.Hour), DedupWindow: weir.Duration(7 * 24 * time.Hour),
		Log: Log{Level: "info", Format: "text"},
		Limits: Limits{
			EventData: 1 << 20, InlineData: 256 << 10, Body: 8 << 20, BatchEvents: 1000, ChunkLines: 1000,
			File: 100 << 20, FormFiles: 100, FormFields: 64 << 10, InFlight: 256 << 20, HooksInFlight: 64 << 20, StepTimeout: weir.Duration(30 * time.Second),
			RunLog: 64 << 10, WorkerSlots: 256, Origin: 64, Streams: 1000,
		},
	}
	if err != nil || diff(want, got) != "" {
		t.Errorf("%v, (-want +got):\n%s", err, diff(want, got))
	}
}

// others has for each setting a valid value that is not the default.
var others = map[string]string{
	"WEIR_DATA": "/var/lib/weir", "WEIR_LISTEN": "0.0.0.0:80", "WEIR_NODE": "n1",
	"WEIR_DATABASE": "postgres://weir:horse@db/weir", "WEIR_DUTIES": "work, api", "WEIR_DRAIN_DELAY": "5s",
	"WEIR_RETENTION": "60d", "WEIR_DEDUP_WINDOW": "2d", "WEIR_SECRET_KEY": strings.Repeat("0f", 32),
	"WEIR_ALLOW_DESTINATION": "10.1.2.3/16, ::1", "WEIR_LOG_LEVEL": "debug", "WEIR_LOG_FORMAT": "json",
	"WEIR_LIMITS_EVENT_DATA": "2MiB", "WEIR_LIMITS_BODY": "9MiB", "WEIR_LIMITS_BATCH_EVENTS": "10",
	"WEIR_LIMITS_INLINE_DATA": "1KiB", "WEIR_LIMITS_CHUNK_LINES": "10", "WEIR_LIMITS_FILE": "1GiB", "WEIR_LIMITS_FORM_FILES": "3",
	"WEIR_LIMITS_FORM_FIELDS": "1KiB", "WEIR_LIMITS_IN_FLIGHT": "1GiB", "WEIR_LIMITS_HOOKS_IN_FLIGHT": "16MiB",
	"WEIR_LIMITS_STEP_TIMEOUT": "1m", "WEIR_LIMITS_RUN_LOG": "1KiB",
	"WEIR_LIMITS_WORKER_SLOTS": "4", "WEIR_LIMITS_ORIGIN": "5", "WEIR_LIMITS_STREAMS": "7",
	"WEIR_ADMIN_TOKEN": "weir_0123456789abcdef",
}

func TestEveryVariableOfTheEnvironmentSetsItsSetting(t *testing.T) {
	t.Parallel()
	settings := new(Config).settings()
	if len(others) != len(settings) {
		t.Fatalf("%d variables for %d settings", len(others), len(settings))
	}
	for _, s := range settings {
		value, ok := others[s.env()]
		if !ok {
			t.Errorf("%s is not tested", s.env())
			continue
		}

		set := map[string]string{s.env(): value}
		if s.key == "duties" { // which alone are refused
			set["WEIR_DATABASE"] = others["WEIR_DATABASE"]
		}
		got, err := Load("", environment(set))
		if err != nil {
			t.Errorf("%s=%s: %v", s.env(), value, err)
		}
		for _, other := range got.settings() {
			defaults := Default()
			changed := !cmp.Equal(lookup(&defaults, other.key), lookup(&got, other.key))
			if changed != (set[other.env()] != "") {
				t.Errorf("%s=%s: %s is %s", s.env(), value, other.key, other.value)
			}
		}
	}
}

func lookup(c *Config, key string) string {
	for _, s := range c.settings() {
		if s.key == key {
			return s.value.String()
		}
	}
	return "no such setting"
}

func TestTheGuideNamesEverySettingWithItsDefault(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	c := Default()
	for _, s := range c.settings() {
		row := "| `" + s.key + "` | `" + s.env() + "` | "
		switch def := s.value.String(); {
		case s.secret:
			row += "| "
		case s.key == "node":
			row += "`--node` | the machine's name | "
		case def == "":
			row += "`--" + s.flag() + "` | | "
		default:
			row += "`--" + s.flag() + "` | `" + def + "` | "
		}
		if !strings.Contains(string(guide), "\n"+row) {
			t.Errorf("docs/configuration.md lacks the row %s", row)
		}
	}
}

const full = `
# everything
data: /srv/weir
listen: ":9000"
node: n2
allow_destinations: [127.0.0.0/8, "fd00::/8"]
log: {level: warn, format: json}
limits:
  event_data: 64KiB
  body: 1048576
  batch_events: 7
  step_timeout: 1h30m
admin:
  token: weir_1234567890123456
`

func TestAFileOverridesDefaultsTheEnvironmentItAndFlagsBoth(t *testing.T) {
	t.Parallel()
	path := write(t, full)
	var shown Config
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	shown.Flags(fs)
	args := []string{"--database=postgres://weir:horse@db/weir", "--duties=work", "--duties=api", "--drain-delay=1s", "--node=n4", "--allow-destination=10.0.0.0/8", "--allow-destination=::1,192.168.0.0/16"}
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}

	got, err := Load("", environment(map[string]string{
		"WEIR_CONFIG": path, "WEIR_NODE": "n3", "WEIR_LISTEN": ":9001", "WEIR_ALLOW_DESTINATION": "1.2.3.4",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Override(fs); err != nil {
		t.Fatal(err)
	}

	want := Default()
	want.Data, want.Listen, want.Node = "/srv/weir", ":9001", "n4"
	want.AllowDestinations = []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("192.168.0.0/16"),
	}
	want.Log = Log{Level: "warn", Format: "json"}
	want.Limits.EventData, want.Limits.Body, want.Limits.BatchEvents = 64*KiB, MiB, 7
	want.Limits.StepTimeout = weir.Duration(90 * time.Minute)
	want.Admin.Token = NewSecret("weir_1234567890123456")
	want.Database, want.Duties, want.DrainDelay = NewDatabase("postgres://weir:horse@db/weir"), []weir.Duty{weir.DutyAPI, weir.DutyWork}, Delay(weir.Duration(time.Second))
	if d := diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestWhatIsWrongIsNamedWithItsPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, want string }{
		{"unknown key", "data: x\nlsten: y\n", `:2:1: lsten: is not known; did you mean listen?`},
		{"unknown key in a section", "limits:\n  bode: 1\n", `:2:3: limits.bode: is not known; did you mean limits.body?`},
		{"unknown section", "limit: {origin: 1}\n", `:1:1: limit: is not known; did you mean limits?`},
		{"key of a section", "level: info\n", `:1:1: level: is not known; did you mean log.level?`},
		{"nothing like it", "triggers: {}\n", `:1:1: triggers: is not known`},
		{"twice", "data: x\nnode: n\ndata: y\n", `:3:1: mapping key "data" already defined at [1:1]`},
		{"section as a value", "limits: 3\n", `:1:9: limits: has settings below it, as in "name: value"`},
		{"value as a section", "data: {a: b}\n", `:1:7: data: needs one value`},
		{"no value", "listen:\n", `:1:9: listen: needs one value`},
		{"not YAML", "data: [\n", `:1:7: sequence end token ']' not found`},
		{"two documents", "data: x\n---\ndata: y\n", `:3:5: a configuration is one document, and here begins another`},
		{"not a mapping", "- a\n", `:1:1: has settings below it, as in "name: value"`},
		{"size", "limits: {body: 8mb}\n", `:1:16: limits.body: "8mb" is not a size such as 512B, 64KiB or 8MiB`},
		{"duration", "limits: {step_timeout: 5}\n", `:1:24: limits.step_timeout: "5" is not a duration such as 250ms, 5s, 1h30m or 7d`},
		{"number", "limits: {origin: 1.5}\n", `:1:18: limits.origin: "1.5" is not a whole number`},
		{"range", "node: n\nlimits:\n  origin: 0\n", `:3:11: limits.origin: 0 is not from 1 to 100000`},
		{"range of a size", "limits: {run_log: 2MiB}\n", `:1:19: limits.run_log: 2MiB is not from 1KiB to 1MiB`},
		{"in flight", "limits: {in_flight: 15MiB}\n", `:1:21: limits.in_flight: 15MiB is less than two of limits.body, 8MiB`},
		{"hooks in flight", "limits: {hooks_in_flight: 15MiB}\n", `:1:27: limits.hooks_in_flight: 15MiB is less than two of limits.body, 8MiB`},
		{"body", "limits: {body: 2KiB}\n", `:1:16: limits.body: 2KiB is less than limits.event_data, 1MiB`},
		{"network", "allow_destinations: [10.0.0.0/8, 10/8]\n", `:1:21: allow_destinations: "10/8" is not a network such as 10.1.0.0/16`},
		{"network of IPv4 as IPv6", "allow_destinations: [\"::ffff:10.0.0.0/104\"]\n", `:1:21: allow_destinations: "::ffff:10.0.0.0/104" is to be written as a network of IPv4`},
		{"networks", "allow_destinations: [{a: b}]\n", `:1:22: allow_destinations: takes a list of texts`},
		{"listen", "listen: 9347\n", `:1:9: listen: "9347" is not of the form host:port`},
		{"port", "listen: localhost:http\n", `:1:9: listen: "http" is not a port from 0 to 65535`},
		{"data", "data: ''\n", `:1:7: data: names no directory`},
		{"node", "node: a b\n", `:1:7: node: "a b" is not a name of at most 63 letters, digits, '-', '_' and '.'`},
		{"duty", "duties: [api, wrok]\n", `:1:9: duties: "wrok" is none of api,dispatch,work,upkeep`},
		{"no duty", "database: postgres://h/d\nduties: []\n", `:2:9: duties: names none of api,dispatch,work,upkeep`},
		{"duties alone", "duties: [api]\n", `:1:9: duties: the embedded engine is one process, which has all duties: api,dispatch,work,upkeep; several processes need a database`},
		{"database", "database: 'host=db password=horse'\n", `:1:11: database: is not of the form postgres://USER:PASSWORD@HOST:PORT/NAME`},
		{"another database", "database: mysql://weir:horse@db/weir\n", `:1:11: database: is not of the form postgres://USER:PASSWORD@HOST:PORT/NAME`},
		{"database without a name", "database: postgres://weir:horse@db\n", `:1:11: database: is not of the form postgres://USER:PASSWORD@HOST:PORT/NAME`},
		{"retention", "retention: 12h\n", `:1:12: retention: 12h is not from 1d to 36500d`},
		{"less retention than window", "retention: 2d\n", `:1:12: retention: 2d is less than dedup_window, 7d`},
		{"window", "dedup_window: 1m\n", `:1:15: dedup_window: 1m is not from 1h to 90d`},
		{"drain delay", "drain_delay: 1h\n", `:1:14: drain_delay: 1h is not from 0s to 10m`},
		{"secret key", "secret_key: horse\n", `:1:13: secret_key: is not 64 hex digits`},
		{"level", "log: {level: loud}\n", `:1:14: log.level: "loud" is none of debug, info, warn, error`},
		{"format", "log: {format: xml}\n", `:1:15: log.format: "xml" is none of text, json`},
		{"token", "admin: {token: 0123456789abcdef}\n", `:1:16: admin.token: is not weir_ and at least 16 letters, digits, '-', '_' or '.'`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := write(t, c.file)

			_, err := Load(path, environment(nil))

			if weir.CodeOf(err) != weir.Invalid || err.Error() != path+c.want {
				t.Errorf("got  %v\nwant %s%s", err, path, c.want)
			}
		})
	}
}

func TestAWrongVariableOrFlagIsNamed(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"WEIR_LIMITS_ORIGIN": `WEIR_LIMITS_ORIGIN: limits.origin: "many" is not a whole number`,
		"WEIR_LISTEN":        `WEIR_LISTEN: listen: "many" is not of the form host:port`,
		"WEIR_ADMIN_TOKEN":   `WEIR_ADMIN_TOKEN: admin.token: is not weir_ and at least 16 letters, digits, '-', '_' or '.'`,
		"WEIR_CONFIG":        `load configuration: open many: no such file or directory`,
	} {
		if _, err := Load("", environment(map[string]string{name: "many"})); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}

	var shown Config
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	shown.Flags(fs)
	if err := fs.Parse([]string{"--log-level", "loud"}); err != nil {
		t.Fatal(err)
	}
	c := Default()
	want := `--log-level: log.level: "loud" is none of debug, info, warn, error`
	if err := c.Override(fs); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestEachValueIsExplainedByWhatSetIt(t *testing.T) {
	t.Parallel()
	path := write(t, "listen: a:1\nlog: {level: warn}\nallow_destinations:\n  - 10.0.0.0/8\n")
	c, err := Load(path, environment(map[string]string{"WEIR_LISTEN": "b:2", "WEIR_ADMIN_TOKEN": "weir_0123456789abcdef"}))
	if err != nil {
		t.Fatal(err)
	}
	var shown Config
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	shown.Flags(fs)
	if err := fs.Parse([]string{"--listen", "c:3", "--limits-origin", "4"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Override(fs); err != nil {
		t.Fatal(err)
	}

	got := map[string]string{}
	for _, e := range c.Explain() {
		got[e.Key] = e.Value + " " + e.From
	}
	for key, want := range map[string]string{
		"listen": "c:3 --listen", "log.level": "warn " + path + ":2:14", "data": "weir-data default",
		"allow_destinations": "10.0.0.0/8 " + path + ":4:3", "limits.origin": "4 --limits-origin", "admin.token": "*** WEIR_ADMIN_TOKEN",
	} {
		if got[key] != want {
			t.Errorf("%s: got %q, want %q", key, got[key], want)
		}
	}
	var out strings.Builder
	if err := c.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"listen: c:3 # --listen\n", "  token: \"***\" # WEIR_ADMIN_TOKEN\n", "  origin: 4 # --limits-origin\n", "  level: warn # " + path + ":2:14\n"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("printed without %q:\n%s", line, &out)
		}
	}
}

func TestWhatIsSetAndHasNoEffectIsToldOf(t *testing.T) {
	t.Parallel()
	path := write(t, "listen: a:1\nlimits:\n  inline_data: 2MiB\n  origin: 9\n  worker_slots: 8\n")
	c, err := Load(path, environment(map[string]string{"WEIR_LISTEN": "b:2"}))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		path + ":1:9: listen: has no effect: WEIR_LISTEN sets it, too",
		path + ":3:16: limits.inline_data: has no effect: no data is longer than limits.event_data, 1MiB",
		path + ":4:11: limits.origin: has no effect: no more than limits.worker_slots, 8, are tried at once",
	}
	if diff := cmp.Diff(want, c.Warnings()); diff != "" {
		t.Error(diff)
	}
	among, err := Load(write(t, "data: d\nlimits: {worker_slots: 8}\n"), environment(map[string]string{
		"WEIR_DATABASE": others["WEIR_DATABASE"], "WEIR_SECRET_KEY": others["WEIR_SECRET_KEY"],
	}))
	if err != nil {
		t.Fatal(err)
	}
	got := among.Warnings()
	if len(got) != 1 || !strings.HasSuffix(got[0], ":1:7: data: has no effect: the database has everything, and secret_key the key of secrets") {
		t.Errorf("one of several: %q", got)
	}
	defaults := Default()
	if got := defaults.Warnings(); len(got) != 0 {
		t.Errorf("the defaults: %q", got)
	}
}

func TestSecretsHaveNoFlag(t *testing.T) {
	t.Parallel()
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	c := Default()
	c.Flags(fs)

	if fs.Lookup("admin-token") != nil || fs.Lookup("listen") == nil {
		t.Errorf("flags are\n%s", fs.FlagUsages())
	}
}

func TestWhatIsPrintedLoadsAgain(t *testing.T) {
	t.Parallel()
	want, err := Load(write(t, full), environment(map[string]string{"WEIR_ADMIN_TOKEN": "weir_correct-horse-battery"}))
	if err != nil {
		t.Fatal(err)
	}

	var out bytes.Buffer
	if err := want.Print(&out); err != nil {
		t.Fatal(err)
	}

	if strings.Contains(out.String(), "horse") || !strings.Contains(out.String(), `token: "***"`) {
		t.Errorf("printed\n%s", &out)
	}
	text := strings.ReplaceAll(out.String(), `"***"`, "weir_correct-horse-battery")
	got, err := Load(write(t, text), environment(nil))
	if err != nil || diff(want, got) != "" {
		t.Errorf("%v, (-want +got):\n%s", err, diff(want, got))
	}

	out.Reset()
	if err := Default().Print(&out); err != nil {
		t.Fatal(err)
	}
	got, err = Load(write(t, out.String()), environment(nil))
	if err != nil || diff(Default(), got) != "" {
		t.Errorf("the defaults: %v, (-want +got):\n%s", err, diff(Default(), got))
	}
}

func TestASecretIsNotShown(t *testing.T) {
	t.Parallel()
	const text = "hunter2hunter2"
	type hidden struct{ secret Secret }
	s := NewSecret(text)
	var out strings.Builder

	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		for _, v := range []any{s, &s, Admin{Token: s}, &Admin{Token: s}, hidden{s}, []Secret{s}, map[string]Secret{"a": s}} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	for _, encode := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
		b, err := encode(Admin{Token: s})
		if err != nil || !strings.Contains(string(b), "***") {
			t.Errorf("encoded as %s, %v", b, err)
		}
		out.Write(b)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("a", "secret", s, "admin", Admin{Token: s})
	slog.New(slog.NewJSONHandler(&out, nil)).Info("a", "secret", s, "admin", Admin{Token: s})

	hex := fmt.Sprintf("%x", text)
	if got := out.String(); strings.Contains(got, "hunter2") || strings.Contains(got, hex) || strings.Count(got, "***") < 40 {
		t.Errorf("shown:\n%s", got)
	}
	if s.Reveal() != text || NewSecret("").String() != "" || !s.Equal(NewSecret(text)) || s.Equal(Secret{}) {
		t.Error("a secret is not what it was made of")
	}
}

func TestSizesReadAndWriteInUnits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Size{"0": 0, "512B": 512, "64KiB": 64 * KiB, "8 MiB": 8 * MiB, "3GiB": 3 * GiB, "1025": 1025} {
		var s, again Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s is %d, %v", text, s, err)
		}
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%s is written as %s", text, s)
		}
	}
	for _, text := range []string{"", "-1", "1.5MiB", "MiB", "8MB", "9999999999GiB"} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); weir.CodeOf(err) != weir.Invalid {
			t.Errorf("%q is read as %s, %v", text, s, err)
		}
	}
}

func TestThePasswordOfADatabaseIsNotShown(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"postgres://weir:horse@db:5432/weir?sslmode=require":  "postgres://weir:xxxxx@db:5432/weir?sslmode=require",
		"postgresql://weir@/weir?host=/run/pg&password=horse": "postgresql://weir@/weir?host=%2Frun%2Fpg&password=xxxxx",
		"host=db password=horse":                              "***",
		"postgres://weir:ho%rse@db/weir":                      "***",
		"postgres://db/weir":                                  "postgres://db/weir",
		"":                                                    "",
	} {
		d := NewDatabase(address)
		c := Default()
		c.Database = d
		var out strings.Builder
		if err := c.Print(&out); err != nil {
			t.Error(err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			fmt.Fprintf(&out, verb+verb, d, []Database{d})
		}
		slog.New(slog.NewJSONHandler(&out, nil)).Info("a", "database", d, "config", c)

		if d.String() != want || strings.Contains(out.String(), "horse") || d.Reveal() != address {
			t.Errorf("%s is shown as %s and in\n%s", address, d, &out)
		}
	}
}

func TestAStopGoesOnAnsweringWhereThereAreOtherNodes(t *testing.T) {
	t.Parallel()
	c := Default()
	alone := c.Drain()
	c.Database = NewDatabase("postgres://db/weir")
	several := c.Drain()
	c.DrainDelay = Delay(0)
	told := c.Drain()

	if alone != 0 || several != weir.Duration(2*time.Second) || told != 0 {
		t.Errorf("%v alone, %v among several, %v told", alone, several, told)
	}
}
