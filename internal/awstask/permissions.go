package awstask

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/protocol"
)

// EncodeSurvey writes a survey as the payload of a task. The bytes hold secrets: they go to the delegate and nowhere else.
func EncodeSurvey(s connector.Survey) ([]byte, error) {
	access, err := encodeAccess(s.Access)
	if err != nil {
		return nil, err
	}
	w := protocol.AWSSurvey{Access: access, Fresh: s.Fresh, TimeoutMS: s.Timeout.Milliseconds()}
	for _, a := range s.Ask {
		w.Ask = append(w.Ask, protocol.AWSAction(a))
	}
	return json.Marshal(w)
}

// DecodeSurvey reads the payload of a task.
func DecodeSurvey(payload []byte) (connector.Survey, error) {
	var w protocol.AWSSurvey
	if err := json.Unmarshal(payload, &w); err != nil {
		return connector.Survey{}, fmt.Errorf("read the payload of %s: not the JSON that was expected", protocol.TypeAWSSurvey) // the cause could quote a secret
	}
	access, err := decodeAccess(w.Access)
	if err != nil {
		return connector.Survey{}, err
	}
	s := connector.Survey{Access: access, Fresh: w.Fresh, Timeout: time.Duration(w.TimeoutMS) * time.Millisecond}
	for _, a := range w.Ask {
		s.Ask = append(s.Ask, connector.Asked(a))
	}
	return s, nil
}

// mostPolicyBytes bounds what all documents of a result have together: more is left out and said to be unread.
const mostPolicyBytes = 384 << 10

func encodePermissions(p *connector.Permissions) *protocol.AWSPermissions {
	if p == nil {
		return nil
	}
	w := &protocol.AWSPermissions{Principal: p.Principal, Role: p.Role, Decoded: p.Decoded}
	left := mostPolicyBytes
	keep := func(part connector.Part, t connector.PolicyText) bool {
		if left -= len(t.Document); left >= 0 {
			return true
		}
		w.Unread = append(w.Unread, protocol.AWSUnread{What: string(part), Action: "policy " + t.Name, Code: "the documents are too long together"})
		return false
	}
	for _, t := range p.Identity {
		if keep(connector.PartIdentity, t) {
			w.Identity = append(w.Identity, encodePolicy(t))
		}
	}
	if b := p.Boundary; b != nil && keep(connector.PartBoundary, *b) {
		one := encodePolicy(*b)
		w.Boundary = &one
	}
	whole := true
	for _, l := range p.SCP {
		level := protocol.AWSPolicyLevel{Name: l.Name}
		for _, t := range l.Policies {
			whole = whole && keep(connector.PartSCP, t)
			level.Policies = append(level.Policies, encodePolicy(t))
		}
		w.SCP = append(w.SCP, level)
	}
	if !whole {
		w.SCP = nil // a level that lacks a policy would seem to allow less than it does
	}
	if t := p.Target; t != nil {
		w.Target = &protocol.AWSPolicy{ARN: t.ARN, Document: t.Document}
	}
	for _, u := range p.Unread {
		w.Unread = append(w.Unread, protocol.AWSUnread{What: string(u.What), Action: u.Action, Code: u.Code})
	}
	for _, one := range p.Probed {
		w.Probed = append(w.Probed, protocol.AWSProbe{
			Action: one.Action, Resource: one.Resource, Context: one.Context, How: one.How, Allowed: one.Allowed, Code: one.Code, Message: one.Message,
			Lacks: one.Lacks,
		})
	}
	return w
}

func encodePolicy(t connector.PolicyText) protocol.AWSPolicy {
	return protocol.AWSPolicy{Name: t.Name, ARN: t.ARN, Via: t.Via, Version: t.Version, Document: t.Document}
}

// Most of each list of what a delegate sends.
const mostPolicies, mostProbes, mostKeys = 200, 5000, 50

// mostDecoded bounds a decoded authorization message, in bytes.
const mostDecoded = 32 << 10

func decodePermissions(w *protocol.AWSPermissions) *connector.Permissions {
	if w == nil {
		return nil
	}
	p := &connector.Permissions{Principal: clip(w.Principal), Role: clip(w.Role), Decoded: w.Decoded[:min(len(w.Decoded), mostDecoded)]}
	for _, u := range first(w.Unread, mostPolicies) {
		p.Unread = append(p.Unread, connector.Unread{What: connector.Part(clip(u.What)), Action: clip(u.Action), Code: clip(u.Code)})
	}
	tooMany := func(part connector.Part) {
		p.Unread = append(p.Unread, connector.Unread{What: part, Action: "the delegate's answer", Code: "too many"})
	}
	for _, t := range first(w.Identity, mostPolicies) {
		p.Identity = append(p.Identity, decodePolicy(t))
	}
	if len(w.Identity) > mostPolicies {
		tooMany(connector.PartIdentity)
	}
	if w.Boundary != nil {
		one := decodePolicy(*w.Boundary)
		p.Boundary = &one
	}
	whole := len(w.SCP) <= mostPolicies
	for _, l := range first(w.SCP, mostPolicies) {
		level := connector.PolicyLevel{Name: clip(l.Name)}
		for _, t := range first(l.Policies, mostPolicies) {
			level.Policies = append(level.Policies, decodePolicy(t))
		}
		whole = whole && len(l.Policies) <= mostPolicies
		p.SCP = append(p.SCP, level)
	}
	if !whole {
		p.SCP = nil
		tooMany(connector.PartSCP)
	}
	if w.Target != nil {
		p.Target = &connector.RoleTrust{ARN: clip(w.Target.ARN), Document: w.Target.Document}
	}
	for _, one := range first(w.Probed, mostProbes) {
		probe := connector.Probe{
			Action: clip(one.Action), Resource: clip(one.Resource), Context: clip(one.Context), How: clip(one.How), Allowed: one.Allowed, Code: clip(one.Code), Message: clip(one.Message),
		}
		for _, key := range first(one.Lacks, mostKeys) {
			probe.Lacks = append(probe.Lacks, clip(key))
		}
		p.Probed = append(p.Probed, probe)
	}
	return p
}

// decodePolicy keeps a document whole: the whole result is bounded, and a part of a document would mean something else.
func decodePolicy(t protocol.AWSPolicy) connector.PolicyText {
	return connector.PolicyText{Name: clip(t.Name), ARN: clip(t.ARN), Via: clip(t.Via), Version: clip(t.Version), Document: t.Document}
}

func first[T any](all []T, most int) []T { return all[:min(len(all), most)] }
