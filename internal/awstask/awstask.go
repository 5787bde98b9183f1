// Package awstask translates the AWS work between the domain's words and those that travel to a delegate. It is the only
// place outside of secret and awsops where plaintext leaves a secret.Value: into the payload for the one delegate that
// leased the task.
package awstask

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/secret"
)

// EncodeCheck writes a check as the payload of a task. The bytes hold secrets: they go to the delegate and nowhere else.
func EncodeCheck(c connector.Check) ([]byte, error) {
	access, err := encodeAccess(c.Access)
	if err != nil {
		return nil, err
	}
	return json.Marshal(protocol.AWSValidate{
		Access: access, IdentityOnly: c.IdentityOnly, Fresh: c.Fresh, ProveExternalID: c.ProveExternalID,
		TimeoutMS: c.Timeout.Milliseconds(),
	})
}

// DecodeCheck reads the payload of a task.
func DecodeCheck(payload []byte) (connector.Check, error) {
	var w protocol.AWSValidate
	if err := json.Unmarshal(payload, &w); err != nil {
		return connector.Check{}, fmt.Errorf("read the payload of %s: not the JSON that was expected", protocol.TypeAWSValidate) // the cause could quote a secret
	}
	access, err := decodeAccess(w.Access)
	if err != nil {
		return connector.Check{}, err
	}
	return connector.Check{
		Access: access, IdentityOnly: w.IdentityOnly, Fresh: w.Fresh, ProveExternalID: w.ProveExternalID,
		Timeout: time.Duration(w.TimeoutMS) * time.Millisecond,
	}, nil
}

func encodeAccess(a connector.Access) (protocol.AWSAccess, error) {
	w := protocol.AWSAccess{Key: a.Key, Revision: a.Revision, Name: a.Name, Region: a.Region, Backoff: encodeBackoff(a.Backoff)}
	if x := a.CrossAccount; x != nil {
		w.CrossAccount = &protocol.AWSCrossAccount{RoleARN: x.RoleARN, ExternalID: x.ExternalID, SessionDurationMS: x.SessionDuration.Milliseconds()}
	}
	switch s := a.Source.(type) {
	case connector.StaticKeys:
		w.Source, w.AccessKey = protocol.SourceStaticKeys, s.AccessKey
		w.SecretKey, w.SessionToken = s.SecretKey.Reveal(), s.SessionToken.Reveal()
	case connector.DelegateRole:
		w.Source = protocol.SourceDelegateRole
	case connector.WebIdentityFile:
		w.Source = protocol.SourceWebIdentityFile
	case connector.WebIdentityToken:
		w.Source, w.RoleARN, w.Token, w.TokenSays = protocol.SourceWebIdentityToken, s.RoleARN, s.Token.Reveal(), s.Says
	case nil:
		return w, fmt.Errorf("connector %s has no source of credentials", a.Key)
	}
	return w, nil
}

func decodeAccess(w protocol.AWSAccess) (connector.Access, error) {
	a := connector.Access{Key: w.Key, Revision: w.Revision, Name: w.Name, Region: w.Region}
	if x := w.CrossAccount; x != nil {
		a.CrossAccount = &connector.CrossAccount{RoleARN: x.RoleARN, ExternalID: x.ExternalID, SessionDuration: time.Duration(x.SessionDurationMS) * time.Millisecond}
	}
	switch w.Source {
	case protocol.SourceStaticKeys:
		a.Source = connector.StaticKeys{AccessKey: w.AccessKey, SecretKey: secret.NewValue(w.SecretKey), SessionToken: secret.NewValue(w.SessionToken)}
	case protocol.SourceDelegateRole:
		a.Source = connector.DelegateRole{}
	case protocol.SourceWebIdentityFile:
		a.Source = connector.WebIdentityFile{}
	case protocol.SourceWebIdentityToken:
		a.Source = connector.WebIdentityToken{RoleARN: w.RoleARN, Token: secret.NewValue(w.Token), Says: w.TokenSays}
	default:
		return connector.Access{}, fmt.Errorf("the manager names a source of credentials, %q, that this delegate does not know; update the delegate", w.Source)
	}
	strategy, err := decodeBackoff(w.Backoff)
	a.Backoff = strategy
	return a, err
}

func encodeBackoff(strategy backoff.Strategy) *protocol.Backoff {
	switch s := strategy.(type) {
	case backoff.Fixed:
		return &protocol.Backoff{Kind: protocol.BackoffFixed, WaitMS: s.Wait.Milliseconds(), Retries: s.Count}
	case backoff.EqualJitter:
		return &protocol.Backoff{Kind: protocol.BackoffEqualJitter, BaseMS: s.Base.Milliseconds(), MaxMS: s.Max.Milliseconds(), Retries: s.Count}
	case backoff.FullJitter:
		return &protocol.Backoff{Kind: protocol.BackoffFullJitter, BaseMS: s.Base.Milliseconds(), MaxMS: s.Max.Milliseconds(), Retries: s.Count}
	case backoff.Default, nil:
	}
	return nil
}

func decodeBackoff(w *protocol.Backoff) (backoff.Strategy, error) {
	if w == nil {
		return backoff.Default{}, nil
	}
	base, limit := connector.Milliseconds(w.BaseMS), connector.Milliseconds(w.MaxMS)
	switch w.Kind {
	case protocol.BackoffFixed:
		return backoff.Fixed{Wait: connector.Milliseconds(w.WaitMS), Count: w.Retries}, nil
	case protocol.BackoffEqualJitter:
		return backoff.EqualJitter{Base: base, Max: limit, Count: w.Retries}, nil
	case protocol.BackoffFullJitter:
		return backoff.FullJitter{Base: base, Max: limit, Count: w.Retries}, nil
	}
	return nil, fmt.Errorf("the manager names a backoff, %q, that this delegate does not know; update the delegate", w.Kind)
}

// EncodeEvidence writes what a check saw as the result of a task. Evidence holds no secret.
func EncodeEvidence(e connector.Evidence) ([]byte, error) {
	w := protocol.AWSEvidence{
		Region: e.Region, Regions: e.Regions, RegionsSkipped: e.RegionsSkipped,
		ClockSkewMS: e.ClockSkew.Milliseconds(), TookMS: e.Took.Milliseconds(), Permissions: encodePermissions(e.Permissions),
	}
	for _, c := range e.Calls {
		w.Calls = append(w.Calls, protocol.AWSCall{Step: string(c.Step), TookMS: c.Took.Milliseconds(), Kept: c.Kept})
	}
	if i := e.Identity; i != nil {
		w.Identity = &protocol.AWSIdentity{ARN: i.ARN, Account: i.Account, UserID: i.UserID}
	}
	if f := e.Failure; f != nil {
		w.Failure = &protocol.AWSFailure{
			Step: string(f.Step), Service: f.Service, Operation: f.Operation, Code: f.Code, Message: f.Message, Status: f.Status,
			RequestID: f.RequestID, Attempts: f.Attempts, Region: f.Region, Text: f.Text, Reason: string(f.Reason), Host: f.Host,
			Missing: f.Missing, Partition: f.Partition, Role: f.Role,
		}
		if token := f.Token; token != nil {
			w.Failure.Token = &protocol.AWSToken{Issuer: token.Issuer, Subject: token.Subject, Audience: token.Audience}
			if !token.Expires.IsZero() {
				w.Failure.Token.Expires = token.Expires.Unix()
			}
		}
		for _, s := range f.Sources {
			w.Failure.Sources = append(w.Failure.Sources, protocol.AWSSource{Name: s.Name, Asked: s.Asked, Answer: s.Answer})
		}
	}
	if p := e.Proof; p != nil {
		w.Proof = &protocol.AWSProof{
			Without: protocol.AWSAttempt{Answer: string(p.Without.Answer), Text: p.Without.Text},
			Wrong:   protocol.AWSAttempt{Answer: string(p.Wrong.Answer), Text: p.Wrong.Text},
			Caller:  p.Caller, Trust: p.Trust,
		}
	}
	return json.Marshal(w)
}

// DecodeEvidence reads the result of a task. It comes from a delegate, so it is bounded before it is shown to anyone.
func DecodeEvidence(result []byte) (connector.Evidence, error) {
	const most = 768 << 10
	if len(result) > most {
		return connector.Evidence{}, fmt.Errorf("the delegate's result has %d bytes, at most %d are read", len(result), most)
	}
	var w protocol.AWSEvidence
	if err := json.Unmarshal(result, &w); err != nil {
		return connector.Evidence{}, fmt.Errorf("read the result of %s: %w", protocol.TypeAWSValidate, err)
	}
	e := connector.Evidence{
		Region: clip(w.Region), RegionsSkipped: w.RegionsSkipped,
		ClockSkew: connector.Milliseconds(w.ClockSkewMS), Took: connector.Milliseconds(w.TookMS), Permissions: decodePermissions(w.Permissions),
	}
	for i, r := range w.Regions {
		if i == mostItems {
			break
		}
		e.Regions = append(e.Regions, clip(r))
	}
	for _, c := range first(w.Calls, mostItems) {
		e.Calls = append(e.Calls, connector.Call{Step: connector.Step(clip(c.Step)), Took: connector.Milliseconds(c.TookMS), Kept: c.Kept})
	}
	if i := w.Identity; i != nil {
		e.Identity = &connector.Identity{ARN: clip(i.ARN), Account: clip(i.Account), UserID: clip(i.UserID)}
	}
	if f := w.Failure; f != nil {
		e.Failure = &connector.Failure{
			Step: connector.Step(clip(f.Step)), Service: clip(f.Service), Operation: clip(f.Operation), Code: clip(f.Code), Message: clip(f.Message),
			Status: f.Status, RequestID: clip(f.RequestID), Attempts: f.Attempts, Region: clip(f.Region), Text: clip(f.Text),
			Reason: connector.Reason(clip(f.Reason)), Host: clip(f.Host), Partition: clip(f.Partition), Role: clip(f.Role),
		}
		if token := f.Token; token != nil {
			e.Failure.Token = &connector.TokenClaims{Issuer: clip(token.Issuer), Subject: clip(token.Subject)}
			for _, one := range token.Audience[:min(len(token.Audience), mostItems)] {
				e.Failure.Token.Audience = append(e.Failure.Token.Audience, clip(one))
			}
			if token.Expires != 0 {
				e.Failure.Token.Expires = time.Unix(token.Expires, 0).UTC()
			}
		}
		for i, s := range f.Sources {
			if i == mostItems {
				break
			}
			e.Failure.Sources = append(e.Failure.Sources, connector.SourceTried{Name: clip(s.Name), Asked: clip(s.Asked), Answer: clip(s.Answer)})
		}
		for i, m := range f.Missing {
			if i == mostItems {
				break
			}
			e.Failure.Missing = append(e.Failure.Missing, clip(m))
		}
	}
	if p := w.Proof; p != nil {
		e.Proof = &connector.Proof{
			Without: connector.Attempt{Answer: connector.AttemptAnswer(clip(p.Without.Answer)), Text: clip(p.Without.Text)},
			Wrong:   connector.Attempt{Answer: connector.AttemptAnswer(clip(p.Wrong.Answer)), Text: clip(p.Wrong.Text)},
			Caller:  clip(p.Caller), Trust: clip(p.Trust),
		}
	}
	return e, nil
}

const mostItems = 100

func clip(s string) string {
	const most = 12 << 10 // an encoded authorization message has up to 10,240 characters
	if len(s) > most {
		return s[:most]
	}
	return s
}

// AccessKeyID takes the id of an access key out of a secret. An id is no secret by itself: AWS shows it in every log.
func AccessKeyID(v secret.Value) string { return v.Reveal() }
