package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Duration is a time span that is written as 90s or 5m.
type Duration time.Duration

func (d Duration) std() time.Duration { return time.Duration(d) }

// MarshalText writes 1m30s.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration does.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// Settings are what can be changed while the sandbox runs.
type Settings struct {
	// ClockOffset is how far the sandbox's clock is ahead of the real one; negative is behind.
	ClockOffset Duration `json:"clockOffset" yaml:"clockOffset"`
	// Propagation is how long a change of users, roles or policies takes until it counts in decisions. 0 is at once.
	Propagation Duration `json:"propagation" yaml:"propagation"`
	// Rate is how many requests a second each account may make, in bursts of Burst (at least 1); 0 is no limit.
	Rate  float64 `json:"rate" yaml:"rate"`
	Burst int     `json:"burst" yaml:"burst"`
	// PlainDenials leaves the encoded message out of EC2's refusals, as AWS does for some of its operations.
	PlainDenials bool `json:"plainDenials" yaml:"plainDenials"`
	// Simulations are scripted answers of SimulatePrincipalPolicy and SimulateCustomPolicy by action, so that a
	// disagreement between AWS and Belay can be shown: allowed, implicitDeny or explicitDeny.
	Simulations map[string]string `json:"simulations,omitempty" yaml:"simulations"`
	// STSDisabled are Regions whose STS is not activated.
	STSDisabled []string `json:"stsDisabled,omitempty" yaml:"stsDisabled"`
}

const (
	mostOffset      = 10 * 365 * 24 * time.Hour
	mostPropagation = 24 * time.Hour
)

// problems are what is wrong with the settings.
func (s Settings) problems() []string {
	var out []string
	if s.ClockOffset.std().Abs() > mostOffset {
		out = append(out, fmt.Sprintf("clockOffset is %s; the clock can be off by ten years at most", s.ClockOffset.std()))
	}
	if p := s.Propagation.std(); p < 0 || p > mostPropagation {
		out = append(out, fmt.Sprintf("propagation is %s; it lies between 0 and %s", p, mostPropagation))
	}
	if s.Rate < 0 || s.Burst < 0 {
		out = append(out, "rate and burst are not negative")
	}
	for action, answer := range s.Simulations {
		if !slices.Contains([]string{"allowed", "implicitDeny", "explicitDeny"}, answer) {
			out = append(out, fmt.Sprintf("simulations: %s is %q; it is allowed, implicitDeny or explicitDeny", action, answer))
		}
	}
	slices.Sort(out)
	return out
}

// Settings are those in force.
func (s *Server) Settings() Settings { return s.current.Load().Settings }

// Set puts other settings in force.
func (s *Server) Set(to Settings) error {
	if problems := to.problems(); len(problems) > 0 {
		return fail(http.StatusBadRequest, "InvalidSettings", "%s", joined(problems))
	}
	return s.change(func(d *draft) error {
		d.Settings = to
		return nil
	})
}

// Now is the sandbox's time.
func (s *Server) Now() time.Time { return s.now() }
