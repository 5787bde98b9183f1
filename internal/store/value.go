package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/delegate"
)

// micros is a time as a column holds it.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// moment is a column as a time.
func moment(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// encoded is a value as JSON text. It is for values that JSON can always hold.
func encoded(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("store: encode %T: %v", v, err))
	}
	return string(text)
}

// decoded reads JSON text into what dest points to; no text leaves it as it is.
func decoded(text string, dest any) error {
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), dest); err != nil {
		return fmt.Errorf("read %T from the database: %w", dest, err)
	}
	return nil
}

// bytesOf is a column that holds JSON of others' making; no text is nil.
func bytesOf(text string) []byte {
	if text == "" {
		return nil
	}
	return []byte(text)
}

func versionText(v delegate.Version) string {
	if v == (delegate.Version{}) {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", v.Year, v.Month, v.Build)
}

func versionOf(text string) (delegate.Version, error) {
	if text == "" {
		return delegate.Version{}, nil
	}
	return delegate.ParseVersion(text)
}

// searchable is what a search looks through: the texts in lower case.
func searchable(tags map[string]string, texts ...string) string {
	var b strings.Builder
	for _, text := range texts {
		b.WriteString(strings.ToLower(text))
		b.WriteByte('\n')
	}
	for _, k := range sortedKeys(tags) {
		b.WriteString(strings.ToLower(k + ":" + tags[k]))
		b.WriteByte('\n')
	}
	return b.String()
}
