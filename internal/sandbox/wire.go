package sandbox

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// node is an element of an XML answer: text, or children.
type node struct {
	name     string
	text     string
	children []node
}

func leaf(name, text string) node             { return node{name: name, text: text} }
func flag(name string, is bool) node          { return leaf(name, strconv.FormatBool(is)) }
func number(name string, n int) node          { return leaf(name, strconv.Itoa(n)) }
func moment(name string, t time.Time) node    { return leaf(name, t.UTC().Format("2006-01-02T15:04:05Z")) }
func tree(name string, children ...node) node { return node{name: name, children: children} }

// optional is a leaf, or nothing when there is no text.
func optional(name, text string) []node {
	if text == "" {
		return nil
	}
	return []node{leaf(name, text)}
}

// list is an element with a member for each item, present even when there is none.
func list[T any](name string, items []T, of func(T) []node) node {
	n := node{name: name}
	for _, item := range items {
		n.children = append(n.children, node{name: "member", children: of(item)})
	}
	return n
}

// texts is a list of plain texts.
func texts(name string, items []string) node {
	n := node{name: name}
	for _, item := range items {
		n.children = append(n.children, leaf("member", item))
	}
	return n
}

// write appends the element. Its parts are escaped, so any text can stand in it; what XML cannot hold becomes U+FFFD.
func (n node) write(b *strings.Builder, indent string) {
	put := func(parts ...string) {
		for _, p := range parts {
			b.WriteString(p)
		}
	}
	put(indent, "<", n.name)
	switch {
	case len(n.children) > 0:
		put(">\n")
		inside := indent + "  "
		for _, c := range n.children {
			c.write(b, inside)
		}
		put(indent, "</", n.name, ">\n")
	case n.text != "":
		put(">")
		_ = xml.EscapeText(b, []byte(n.text)) // a Builder never fails
		put("</", n.name, ">\n")
	default:
		put("/>\n")
	}
}

// namespaces of the services with XML answers.
const (
	stsNamespace            = "https://sts.amazonaws.com/doc/2011-06-15/"
	iamNamespace            = "https://iam.amazonaws.com/doc/2010-05-08/"
	ec2Namespace            = "http://ec2.amazonaws.com/doc/2016-11-15/"
	cloudFormationNamespace = "http://cloudformation.amazonaws.com/doc/2010-05-15/"
)

func namespace(service string) string {
	switch service {
	case "iam":
		return iamNamespace
	case "ec2":
		return ec2Namespace
	case "cloudformation":
		return cloudFormationNamespace
	}
	return stsNamespace
}

// root writes an outermost element with its namespace.
func root(name, namespace string, children ...node) string {
	var b strings.Builder
	b.Grow(4 << 10)
	b.WriteString("<" + name)
	if namespace != "" {
		b.WriteString(` xmlns="` + namespace + `"`)
	}
	b.WriteString(">\n")
	for _, c := range children {
		c.write(&b, "  ")
	}
	b.WriteString("</" + name + ">\n")
	return b.String()
}

// reply sends the answer of a query operation: its result, or none for an operation that answers nothing.
func (c *call) reply(result []node) {
	switch c.protocol {
	case ec2Query:
		body := root(c.operation+"Response", ec2Namespace, append([]node{leaf("requestId", c.requestID)}, result...)...)
		c.send(http.StatusOK, "text/xml;charset=UTF-8", `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+body)
	default:
		var children []node
		if result != nil {
			children = append(children, tree(c.operation+"Result", result...))
		}
		children = append(children, tree("ResponseMetadata", leaf("RequestId", c.requestID)))
		c.send(http.StatusOK, "text/xml", root(c.operation+"Response", namespace(c.service), children...))
	}
}

// replyJSON sends the answer of a JSON operation.
func (c *call) replyJSON(body any) {
	if body == nil {
		c.send(http.StatusOK, "application/x-amz-json-1.1", "")
		return
	}
	raw, err := json.Marshal(body)
	if err != nil {
		c.refuse(&failure{sort: internal})
		return
	}
	c.send(http.StatusOK, "application/x-amz-json-1.1", string(raw))
}

// refuse sends a failure in the envelope of the call's protocol.
func (c *call) refuse(f *failure) {
	a := f.answer(c.protocol)
	kind := "Sender"
	if a.status >= http.StatusInternalServerError {
		kind = "Receiver"
	}
	switch c.protocol {
	case query:
		c.send(a.status, "text/xml", root("ErrorResponse", namespace(c.service),
			tree("Error", leaf("Type", kind), leaf("Code", a.code), leaf("Message", a.message)), leaf("RequestId", c.requestID)))
	case ec2Query:
		c.send(a.status, "text/xml;charset=UTF-8", `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+root("Response", "",
			tree("Errors", tree("Error", leaf("Code", a.code), leaf("Message", a.message))), leaf("RequestID", c.requestID)))
	case restXML:
		c.w.Header().Set("x-amz-request-id", c.requestID)
		c.send(a.status, "application/xml", `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+root("Error", "",
			leaf("Code", a.code), leaf("Message", a.message), leaf("RequestId", c.requestID)))
	case jsonRPC:
		c.sendObject(a.status, "application/x-amz-json-1.1", map[string]string{"__type": a.code, messageKey(f.sort): a.message})
	case restJSON:
		c.w.Header().Set("x-amzn-ErrorType", a.code)
		c.sendObject(a.status, "application/json", map[string]string{messageKey(f.sort): a.message})
	}
}

// messageKey is Message where the front end of AWS answers, message where the service does.
func messageKey(s sort) string {
	if s == denied || s == modelled {
		return "Message"
	}
	return "message"
}

func (c *call) sendObject(status int, contentType string, body map[string]string) {
	raw, _ := json.Marshal(body) // texts by texts: it cannot fail
	c.send(status, contentType, string(raw))
}

func (c *call) send(status int, contentType, body string) {
	h := c.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		_, _ = c.w.Write([]byte(body)) // the client may have gone
	}
	c.outcome = status
}
