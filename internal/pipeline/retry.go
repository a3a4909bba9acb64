package pipeline

import (
	"math"
	"slices"
	"strconv"
	"time"

	"weir"
)

// FailureKind says in what way a try failed, as far as retries care.
type FailureKind uint8

// The kinds of failure.
const (
	Other   FailureKind = iota // anything that trying again does not mend
	Connect                    // the destination was not reached, or broke off
	Timeout                    // no answer in time
	Status                     // an answer with a status that is no success
	Lost                       // nobody can tell what became of the try
)

// Failure is what Decide needs to know of a try that failed.
type Failure struct {
	Kind       FailureKind
	Status     int           // of Status
	RetryAfter time.Duration // what the destination asked for; 0: nothing
	Final      bool          // not retried, whatever the kind
}

// Decision is what follows a failed try: Retrying after a time, or Died.
type Decision struct {
	Kind  weir.ChangeKind
	After time.Duration
}

// MaxRetryAfter bounds how long a destination can make a run wait.
const MaxRetryAfter = 24 * time.Hour

// DefaultRetry returns what holds where a pipeline says nothing about retry.
func DefaultRetry() weir.Retry {
	return weir.Retry{
		Attempts: 8,
		Backoff:  weir.Duration(time.Second),
		Factor:   2,
		Max:      weir.Duration(10 * time.Minute),
		On:       []string{"connect", "timeout", "5xx", "408", "425", "429"},
	}
}

// WithDefaults returns r with what it leaves out taken from DefaultRetry.
func WithDefaults(r weir.Retry) weir.Retry {
	d := DefaultRetry()
	if r.Attempts == 0 {
		r.Attempts = d.Attempts
	}
	if r.Backoff == 0 {
		r.Backoff = d.Backoff
	}
	if r.Factor == 0 {
		r.Factor = d.Factor
	}
	if r.Max == 0 {
		r.Max = d.Max
	}
	if r.On == nil {
		r.On = d.On
	}
	return r
}

// Decide says what follows the failed try number try, from 1. A lost try is
// retried unless the pipeline says "retry: none"; any other only when its kind
// is among retry.On; and none after the last of retry.Attempts.
//
// The wait is Backoff. A 429 or 503 that asked for a wait gets the one it asked
// for, without jitter and whatever retry.Max says, up to MaxRetryAfter.
func Decide(retry weir.Retry, try int, f Failure, jitter float64) Decision {
	retry = WithDefaults(retry)
	if retry.None || f.Final || try >= retry.Attempts || f.Kind != Lost && !retries(retry.On, f) {
		return Decision{Kind: weir.Died}
	}
	if f.RetryAfter > 0 && (f.Status == 429 || f.Status == 503) {
		return Decision{Kind: weir.Retrying, After: min(f.RetryAfter, MaxRetryAfter)}
	}
	return Decision{Kind: weir.Retrying, After: Backoff(retry, try, jitter)}
}

// Backoff returns the wait after the failed try number try, from 1: the
// backoff times factor for each try before it, at most max, and then up to
// 20 % less or more, as jitter in [0, 1) has it.
func Backoff(retry weir.Retry, try int, jitter float64) time.Duration {
	wait := float64(retry.Backoff) * math.Pow(retry.Factor, float64(try-1))
	wait = min(wait, float64(retry.Max)) // also where Pow gave infinity
	return time.Duration(wait * (0.8 + 0.4*jitter))
}

// retries reports whether one of the words of a retry's on means the failure.
func retries(on []string, f Failure) bool {
	switch f.Kind {
	case Connect:
		return slices.Contains(on, "connect")
	case Timeout:
		return slices.Contains(on, "timeout")
	case Status:
		text := strconv.Itoa(f.Status)
		return slices.Contains(on, text) || slices.Contains(on, text[:1]+"xx")
	default:
		return false
	}
}
