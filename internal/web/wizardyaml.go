package web

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/belay-dev/belay/iam/trust"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/document"
	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/scope"
)

// yamlAnswer takes the connector as a file.
func (s *Server) yamlAnswer(ctx context.Context, w *wizard, do string) (reply, error) {
	if do == "back" {
		return reply{to: w.to(wizardSteps()[min(w.draft.Reached, len(wizardSteps())-1)].ID)}, nil
	}
	w.Text = strings.ReplaceAll(w.v.r.PostForm.Get("yaml"), "\r\n", "\n")
	wire, problems := w.read()
	if len(problems) > 0 {
		w.Summary = problems
		return s.wizardReply(ctx, w, http.StatusBadRequest)
	}
	was := w.draft
	w.draft.Base, w.draft.Values = wire, valuesOf(wire)
	if err := w.remember(); err != nil {
		return reply{}, err
	}
	if do == "save" || do == "overwrite" {
		w.draft.Revision = was.Revision
		return s.saved(ctx, w, wire, do == "overwrite")
	}
	w.draft.Reached = stepIndex(stepTest)
	if err := s.keep(w, false); err != nil {
		return reply{}, err
	}
	if w.Kept() {
		return reply{to: w.to(stepYAML)}, nil
	}
	return reply{to: w.to(stepTest)}, nil
}

// yamlName is how problems call the text.
const yamlName = "connector.yaml"

// setLine is the line of an external id that is set and not shown.
const setLine = "externalId: " + setText

// read reads the text of the YAML step. It finds all that is wrong at once, each with its line.
func (w *wizard) read() (nextgen.Connector, []lack) {
	var list []lack
	add := func(text string) { list = append(list, lack{Text: sentence(text)}) }
	if len(w.Text) > maxYAML {
		w.Text = ""
		add("the text is longer than " + grouped(maxYAML) + " bytes")
		return nextgen.Connector{}, list
	}
	// What stands for the external id is none that may be saved. Until the file is read, another text does: not the external id
	// itself, which would come to light where the same line stands in a description.
	text, standIn := w.Text, trust.NewExternalID()
	if externalOf(w.draft.Base) != "" {
		text = strings.ReplaceAll(text, setLine, "externalId: "+standIn)
	}
	entities, problems := document.Reader{Scope: scope.Scope{Org: w.v.at.Org, Project: w.v.at.Project}}.Read(yamlName, strings.NewReader(text))
	for _, p := range problems {
		add(strings.TrimPrefix(p.String(), yamlName+":"))
		if p.Line > 0 {
			list[len(list)-1].Text = "Line " + strings.TrimPrefix(p.String(), yamlName+":")
		}
	}
	if len(list) > 0 {
		return nextgen.Connector{}, list
	}
	if len(entities) != 1 || entities[0].Kind != document.Connector {
		add("the text must hold one document, with the key connector")
		return nextgen.Connector{}, list
	}
	e := entities[0]
	if (scope.Scope{Org: w.v.at.Org, Project: w.v.at.Project}) != e.Scope {
		add("the connector says that it lives in " + e.Scope.String() + ", and this page is for " + w.v.at.String() + ": change the scope of the page, or the lines orgIdentifier and projectIdentifier")
	}
	if w.Stored != nil && e.ID != w.Stored.ID {
		add("the identifier is " + e.ID + ", and this page changes " + w.Stored.ID + "; an identifier cannot change")
	}
	var c nextgen.Connector
	if err := json.Unmarshal(bytes.ReplaceAll(e.Body, []byte(standIn), []byte(setText)), &c); err != nil {
		add("the connector cannot be read: " + err.Error())
	}
	if externalOf(c) == setText {
		c = withExternal(c, externalOf(w.draft.Base))
	}
	if w.Stored != nil && len(list) == 0 && (c.Type == nextgen.TypeKubernetes) != (w.Stored.Type() == connector.TypeKubernetes) {
		add("the type is " + c.Type + ", and the connector is of type " + w.Stored.Type() + "; make another connector instead")
	}
	return c, list
}
