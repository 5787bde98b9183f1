package awsops

import (
	"encoding/xml"
	"io"
	"strings"
)

// envelope is an error of AWS's XML protocols, in either of their two shapes: query (STS, IAM: ErrorResponse, Error,
// RequestId) and EC2's (Response, Errors, Error, RequestID).
type envelope struct {
	code, message, requestID string
	nested                   bool // the error stood in a list, as EC2 has it
}

// readEnvelope finds an error in body. ok is false when there is none, and for anything that is not XML.
func readEnvelope(body []byte) (_ envelope, ok bool) {
	var read struct {
		Plain  shownError   `xml:"Error"`
		Nested []shownError `xml:"Errors>Error"`
		Upper  string       `xml:"RequestID"`
		Lower  string       `xml:"RequestId"`
	}
	decoder := xml.NewDecoder(strings.NewReader(string(body)))
	decoder.CharsetReader = func(_ string, input io.Reader) (io.Reader, error) { return input, nil }
	if err := decoder.Decode(&read); err != nil {
		return envelope{}, false
	}
	found := envelope{code: strings.TrimSpace(read.Plain.Code), message: read.Plain.Message, requestID: read.Lower + read.Upper}
	if read.Lower != "" {
		found.requestID = read.Lower
	}
	if found.code == "" && len(read.Nested) > 0 {
		found.code, found.message, found.nested = strings.TrimSpace(read.Nested[0].Code), read.Nested[0].Message, true
	}
	return found, found.code != ""
}

type shownError struct {
	Code    string `xml:"Code"`
	Message string `xml:"Message"`
}

// straighten puts an error in the shape that the SDK expects of a service. AWS always answers in it, but stand-ins and
// some gateways answer for every service in one shape, moto for STS in that of EC2, and of the wrong shape the SDK keeps
// only UnknownError. Rewriting the body, rather than the error, leaves the SDK its typed exceptions. A body that is
// right already, or that holds no error, comes back as it was.
func straighten(service string, body []byte) []byte {
	found, ok := readEnvelope(body)
	wantNested := service == "ec2"
	if !ok || found.nested == wantNested || (service != "ec2" && service != "sts" && service != "iam") {
		return body
	}
	one := shownError{Code: found.code, Message: found.message}
	var shape any
	if wantNested {
		shape = struct {
			XMLName   xml.Name   `xml:"Response"`
			Error     shownError `xml:"Errors>Error"`
			RequestID string     `xml:"RequestID,omitempty"`
		}{Error: one, RequestID: found.requestID}
	} else {
		shape = struct {
			XMLName   xml.Name   `xml:"ErrorResponse"`
			Error     shownError `xml:"Error"`
			RequestID string     `xml:"RequestId,omitempty"`
		}{Error: one, RequestID: found.requestID}
	}
	text, err := xml.Marshal(shape)
	if err != nil {
		return body
	}
	return text
}
