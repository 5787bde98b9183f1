package preflight

import "github.com/belay-dev/belay/internal/connector"

// Evaluation is what a preflight evaluates: all questions, without the survey.
type Evaluation struct{ all questions }

// Questions works out what is asked.
func Questions(o Options) (Evaluation, error) {
	all, err := needs(o)
	return Evaluation{all}, err
}

// Len is how many questions there are.
func (e Evaluation) Len() int { return len(e.all.asked) }

// Of are the questions of a capability.
func (e Evaluation) Of(id string) []connector.Asked {
	var out []connector.Asked
	for _, n := range e.all.needs {
		if n.capability.ID == id {
			for _, i := range n.asked {
				out = append(out, e.all.asked[i].Asked)
			}
		}
	}
	return out
}

// Judge answers them.
func (e Evaluation) Judge(found *connector.Permissions, region string) Preflight {
	p := Preflight{Region: region}
	p.judge(found, e.all)
	return p
}
