package document

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/belay-dev/belay/internal/nextgen"
)

// order is how the keys of entities are written: what it is called, where it lives, what it is, how it works.
func order() []string {
	return []string{
		"name", "identifier", "description", "orgIdentifier", "projectIdentifier", "environmentRef", "tags", "privateSecret", "color", "modules", "type", "deploymentType", "yaml", "spec",
		"accessKey", "accessKeyRef", "secretKeyRef", "sessionTokenRef", "iamRoleArn", "oidcSessionTagKeys",
		"fixedBackoff", "baseDelay", "maxBackoffTime", "retryCount",
		"credential", "crossAccountAccess", "crossAccountRoleArn", "externalId", "assumeRoleSessionDuration", "region",
		"awsSdkClientBackOffStrategyOverride", "delegateSelectors", "executeOnDelegate", "proxy", "proxyUrl", "ignoreTestConnection",
		"secretManagerIdentifier", "valueType", "value", "additionalMetadata",
	}
}

// Write writes an entity as a YAML document that can be read again. body is as the API has it. What says nothing is left
// out: nulls, empty texts, lists and objects, and the flags that are false when absent.
func Write(w io.Writer, kind Kind, body json.RawMessage) error {
	if text, ok := natural(kind, body); ok {
		_, err := io.WriteString(w, text)
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value map[string]any
	if err := decoder.Decode(&value); err != nil {
		return fmt.Errorf("write %s: %w", kind, err)
	}
	value = Prune(value)
	if infraKind(kind) != "" && value["yaml"] == nil {
		value["yaml"] = "" // without it these fields would be taken for the definition's own document
	}
	node := &yaml.Node{Kind: yaml.MappingNode}
	node.Content = []*yaml.Node{word(string(kind)), ordered(value)}
	return encode(w, node)
}

// natural is a definition's own document, where it says all that the manager knows of the definition, and can be read back
// to the byte.
func natural(kind Kind, body json.RawMessage) (string, bool) {
	if infraKind(kind) == "" {
		return "", false
	}
	var b nextgen.Definition
	if json.Unmarshal(body, &b) != nil || b.YAML == "" {
		return "", false
	}
	read, problems := Read("", strings.NewReader(b.YAML))
	if len(problems) > 0 || len(read) != 1 || read[0].Kind != kind || !strings.HasSuffix(b.YAML, "\n") {
		return "", false
	}
	says, err := Canonical(kind, read[0].Body)
	if err != nil {
		return "", false
	}
	known, err := Canonical(kind, body)
	return b.YAML, err == nil && reflect.DeepEqual(says, known)
}

// Prune leaves out of an entity what says nothing. The type and spec of a value stay as they are, also where spec is
// empty.
func Prune(value map[string]any) map[string]any {
	kept := map[string]any{}
	for key, v := range value {
		switch v := v.(type) {
		case nil:
			continue
		case string:
			if v == "" || key == "connectorType" || key == "accountId" {
				continue
			}
		case bool:
			if !v && slices.Contains([]string{"proxy", "ignoreTestConnection", "privateSecret"}, key) {
				continue
			}
		case []any:
			if len(v) == 0 {
				continue
			}
		case map[string]any:
			inner := v
			if key != "tags" { // the texts of tags may be empty
				inner = Prune(v)
			}
			if len(inner) == 0 {
				continue
			}
			kept[key] = inner
			continue
		}
		if key != "_" {
			kept[key] = v
		}
	}
	return kept
}

func ordered(value any) *yaml.Node {
	switch v := value.(type) {
	case map[string]any:
		rank := order()
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.SortFunc(keys, func(a, b string) int {
			i, j := slices.Index(rank, a), slices.Index(rank, b)
			if i < 0 {
				i = len(rank)
			}
			if j < 0 {
				j = len(rank)
			}
			return cmp.Or(cmp.Compare(i, j), strings.Compare(a, b))
		})
		node := &yaml.Node{Kind: yaml.MappingNode}
		for _, k := range keys {
			node.Content = append(node.Content, word(k), ordered(v[k]))
		}
		return node
	case []any:
		node := &yaml.Node{Kind: yaml.SequenceNode}
		for _, item := range v {
			node.Content = append(node.Content, ordered(item))
		}
		return node
	}
	return leaf(value)
}

// WriteYAML writes any value that can be JSON as YAML, with its keys in the order that they have there.
func WriteYAML(w io.Writer, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	node, err := next(decoder)
	if err != nil {
		return err
	}
	return encode(w, node)
}

func encode(w io.Writer, node *yaml.Node) error {
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	return errors.Join(encoder.Encode(node), encoder.Close())
}

// next reads one JSON value as a node.
func next(decoder *json.Decoder) (*yaml.Node, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return leaf(token), nil
	}
	node := &yaml.Node{Kind: yaml.SequenceNode}
	if delim == '{' {
		node.Kind = yaml.MappingNode
	}
	for decoder.More() {
		child, err := next(decoder) // of an object these are keys and values by turns
		if err != nil {
			return nil, err
		}
		node.Content = append(node.Content, child)
	}
	if len(node.Content) == 0 {
		node.Style = yaml.FlowStyle
	}
	_, err = decoder.Token() // the end
	return node, err
}

func word(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
}

func leaf(value any) *yaml.Node {
	switch v := value.(type) {
	case nil:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(v.String(), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: v.String()}
	case int64:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(v, 10)}
	case float64:
		if v == math.Trunc(v) {
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: fmt.Sprintf("%.0f", v)}
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: fmt.Sprint(v)}
	}
	return word(fmt.Sprint(value))
}
