package document

import "strings"

func suggestion(word string, names []string) string {
	if meant := nearest(word, names); meant != "" {
		return "; did you mean " + meant + "?"
	}
	return ""
}

// nearest is the name that a misspelt word most likely means, or "": at most a third of its letters differ, apart from
// case, hyphens and underscores.
func nearest(word string, names []string) string {
	const longest = 80
	if len(word) > longest {
		return ""
	}
	best, least := "", 0
	for _, name := range names {
		d := distance(plain(word), plain(name))
		if d <= len(name)/3 && (best == "" || d < least) {
			best, least = name, d
		}
	}
	return best
}

func plain(s string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(s))
}

// distance is how many letters must be added, removed, changed or swapped with their neighbour to make b of a.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
