package firstgen

// Kind is what a text belongs to.
type Kind string

// The kinds.
const (
	Provider Kind = "provider" // a connector; the text is its YAML
	Secret   Kind = "secret"   // a secret; the text is JSON of what only FirstGen knows of it
)

// Text is what a client wrote beside what Belay made of it.
type Text struct {
	ID       string // of the connector or secret
	Text     string
	Revision int64 // of the connector when the text came; 0 for a secret
}
