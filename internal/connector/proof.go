package connector

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/trust"
)

// Proof is what a role did, right after a test that passed, when it was asked to let the connector's identity in without
// its external id, and with a wrong one. It must refuse both.
type Proof struct {
	Without Attempt
	Wrong   Attempt
	Caller  string // who asked: the ARN of the first identity; "" when that is not known
	Trust   string // the role's trust policy, "" when it was not read
}

// Attempt is one try to assume a role that ought to fail.
type Attempt struct {
	Answer AttemptAnswer
	Text   string // what happened, where that is unclear
}

// AttemptAnswer is what became of an Attempt.
type AttemptAnswer string

// The answers. Anything else is as Unclear.
const (
	Refused AttemptAnswer = "refused"
	LetIn   AttemptAnswer = "let-in"
	Unclear AttemptAnswer = "unclear" // neither: no answer, throttled
)

// externalID is the external id that a connector sends, "" for none.
func (c Connector) externalID() string {
	if c.CrossAccount == nil {
		return ""
	}
	return c.CrossAccount.ExternalID
}

// ProofWarnings are what a green test says of a proof that was asked for and does not hold; none means that it holds.
func ProofWarnings(c Connector, p *Proof, delegate string) []string {
	switch {
	case c.CrossAccount == nil:
		return []string{"Nothing was proven of an external id: the connector assumes no role in another account."}
	case c.externalID() == "":
		return []string{"Nothing was proven of an external id: the connector sends none. Let the trust policy of " + c.CrossAccount.RoleARN +
			" ask for one, and give it in externalId. `belay policy trust --for cross-account --new-external-id` makes both."}
	case p == nil:
		return []string{fmt.Sprintf("The external id was not proven: %s cannot do that yet. Update it.", named(delegate))}
	case p.Without.Answer == Refused && p.Wrong.Answer == Refused:
		return nil
	case p.Without.Answer == LetIn || p.Wrong.Answer == LetIn:
		return []string{p.deputy(c)}
	}
	var why []string
	for _, one := range []struct {
		how string
		Attempt
	}{{"without an external id", p.Without}, {"with a wrong one", p.Wrong}} {
		if one.Answer != Refused {
			why = append(why, strings.TrimSuffix(one.how+": "+one.Text, ": "))
		}
	}
	return []string{"It could not be proven that the role asks for the external id (" + strings.Join(why, "; ") + "). Test again."}
}

// deputy names the risk and the statement that makes it.
func (p *Proof) deputy(c Connector) string {
	var how []string
	if p.Without.Answer == LetIn {
		how = append(how, "without an external id")
	}
	if p.Wrong.Answer == LetIn {
		how = append(how, "with a wrong one")
	}
	role := c.CrossAccount.RoleARN
	text := fmt.Sprintf("Confused deputy: %s lets this connector's identity in %s. The external id protects nothing: who knows the role's ARN can have it assumed through a connector of their own.",
		role, strings.Join(how, ", and "))
	demand := fmt.Sprintf(`{"StringEquals":{"sts:ExternalId":%q}}`, c.externalID())
	d, numbers := p.mended(c)
	if d == nil {
		return text + " Add to the statement of its trust policy that lets the identity in: \"Condition\": " + demand + "."
	}
	which := "statement " + numbers[0]
	if len(numbers) > 1 {
		which = "statements " + strings.Join(numbers, ", ")
	}
	name := role[strings.LastIndexByte(role, '/')+1:]
	return text + fmt.Sprintf(" Change %s of its trust policy: \"Condition\": %s.\naws iam update-assume-role-policy --role-name %s --policy-document %s",
		which, demand, shellQuote(name), shellQuote(compact(d)))
}

// mended is the trust policy with the condition in each statement that lets the identity in without, and the numbers of
// those. It is nil when the policy was not read, or is not what lets it in.
func (p *Proof) mended(c Connector) (*iam.Document, []string) {
	who, err := iam.ParsePrincipal(p.Caller)
	if err != nil || p.Trust == "" {
		return nil, nil
	}
	d, err := iam.Parse([]byte(p.Trust))
	if err != nil {
		return nil, nil
	}
	var numbers []string
	for _, sent := range []string{"", "not-the-external-id"} {
		for range d.Statements { // each turn mends one
			a, err := trust.Explain(trust.Question{Role: c.CrossAccount.RoleARN, Trust: d, Caller: who, ExternalID: sent})
			if err != nil {
				return nil, nil
			}
			if a.Outcome == trust.Fails || len(a.Reasons) == 0 || a.Reasons[0].Statement == 0 {
				break
			}
			n := a.Reasons[0].Statement
			one := &d.Statements[n-1]
			one.Conditions = append(slices.DeleteFunc(slices.Clone(one.Conditions), func(k iam.Condition) bool { return strings.EqualFold(k.Key, "sts:ExternalId") }),
				iam.Condition{Operator: "StringEquals", Key: "sts:ExternalId", Values: []string{c.externalID()}})
			numbers = append(numbers, strconv.Itoa(n))
		}
	}
	if len(numbers) == 0 {
		return nil, nil
	}
	return d, numbers
}
