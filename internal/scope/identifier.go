package scope

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxIdentifier is the longest identifier, in characters.
const MaxIdentifier = 128

// reserved are the words that expressions use, so no entity may be called by them.
const reserved = " or and eq ne lt gt le ge div mod not null true false new var return step parallel stepGroup org account status liteEngineTask "

// CheckIdentifier says what is wrong with an identifier, or "" when it is right: letters, digits, _ and $, not first a
// digit or $, at most 128 characters, not a reserved word. Case matters.
func CheckIdentifier(id string) string {
	return checkIdentifier(id, "")
}

// CheckSecretIdentifier is CheckIdentifier for secrets, whose identifiers may hold hyphens too.
func CheckSecretIdentifier(id string) string {
	return checkIdentifier(id, "-")
}

func checkIdentifier(id, also string) string {
	switch {
	case id == "":
		return "is required"
	case len(id) > MaxIdentifier:
		return fmt.Sprintf("has %d characters, at most %d are allowed", len(id), MaxIdentifier)
	case strings.Contains(reserved, " "+id+" "):
		return fmt.Sprintf("%q is a reserved word; choose another", id)
	}
	for i, r := range id {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
		later := r >= '0' && r <= '9' || r == '$' || strings.ContainsRune(also, r)
		switch {
		case letter, later && i > 0:
		case later:
			return fmt.Sprintf("%q starts with %q; start with a letter or _", clip(id), string(r))
		default:
			return fmt.Sprintf("%q holds %q; letters a-z, digits, _ and $%s are allowed", clip(id), string(r), andAlso(also))
		}
	}
	return ""
}

func andAlso(also string) string {
	if also == "" {
		return ""
	}
	return " and " + also
}

func clip(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// IdentifierFromName makes an identifier from a name, as the web interface does: blanks, hyphens and dots become _,
// other characters are dropped, a leading digit gets a _ before it. It is "" when nothing is left, as for a name that
// has no letter of a-z in it.
func IdentifierFromName(name string) string {
	var b strings.Builder
	for _, r := range strings.TrimSpace(name) {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '_':
			b.WriteRune(r)
		case r >= '0' && r <= '9', r == '$':
			if b.Len() == 0 {
				b.WriteByte('_')
			}
			b.WriteRune(r)
		case unicode.IsSpace(r), r == '-', r == '.':
			b.WriteByte('_')
		}
		if b.Len() >= MaxIdentifier {
			break
		}
	}
	id := b.String()
	if len(id) > MaxIdentifier {
		id = id[:MaxIdentifier]
	}
	if strings.Trim(id, "_") == "" {
		return ""
	}
	if strings.Contains(reserved, " "+id+" ") {
		return "_" + id
	}
	return id
}

// MaxName is the longest name, in characters.
const MaxName = 128

// CheckName says what is wrong with a name, or "" when it is right. Names are for people, so any printable character
// of any language is allowed, with its blanks and the joiners that Persian, the Indic scripts and emoji are written with.
func CheckName(name string) string {
	const nonJoiner, joiner = '\u200C', '\u200D'
	if !utf8.ValidString(name) {
		return "is not UTF-8"
	}
	if strings.TrimFunc(name, func(r rune) bool { return unicode.IsSpace(r) || r == nonJoiner || r == joiner }) == "" {
		return "is required"
	}
	if n := utf8.RuneCountInString(name); n > MaxName {
		return fmt.Sprintf("has %d characters, at most %d are allowed", n, MaxName)
	}
	for _, r := range name {
		if !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r) && r != nonJoiner && r != joiner {
			return fmt.Sprintf("holds the unprintable character %U", r)
		}
	}
	return ""
}

// MaxTags is how many tags an entity may have.
const MaxTags = 128
