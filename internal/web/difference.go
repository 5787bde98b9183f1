package web

import (
	"slices"
	"strings"
)

// newLines are the lines of a file, those that stand in it and not in the one before marked as new. Nothing is new in a file
// that there was none before.
func newLines(before, now string) []codeLine {
	lines := linesOf(now)
	if before == "" {
		return lines
	}
	return classed("new", linesOf(before), lines, func(a, b string) bool { return a == b })
}

// marked marks the lines that a document has beside another. What only got or lost its comma is not new.
func marked(old, lines []codeLine) []codeLine {
	return classed("add", old, lines, func(a, b string) bool { return strings.TrimSuffix(a, ",") == strings.TrimSuffix(b, ",") })
}

// longestCompared bounds, in lines, what is compared: the table has the square of it.
const longestCompared = 600

// classed gives the lines that are not part of the longest common subsequence a class.
func classed(class string, old, lines []codeLine, same func(a, b string) bool) []codeLine {
	if len(old) > longestCompared || len(lines) > longestCompared {
		return lines
	}
	longest := make([][]int, len(old)+1)
	for i := range longest {
		longest[i] = make([]int, len(lines)+1)
	}
	for i, a := range slices.Backward(old) {
		for k, b := range slices.Backward(lines) {
			if same(a.Text, b.Text) {
				longest[i][k] = longest[i+1][k+1] + 1
			} else {
				longest[i][k] = max(longest[i+1][k], longest[i][k+1])
			}
		}
	}
	i, k := 0, 0
	for k < len(lines) {
		switch {
		case i < len(old) && same(old[i].Text, lines[k].Text):
			i, k = i+1, k+1
		case i < len(old) && longest[i+1][k] >= longest[i][k+1]:
			i++
		default:
			lines[k].Class = class
			k++
		}
	}
	return lines
}
