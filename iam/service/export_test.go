package service

// What tests of reading need: the tables without the memory of having read them, and texts that no build would hold.
var (
	ReadServices  = read
	ReadManaged   = readManaged
	Gunzip        = gunzip
	Decode        = decode
	DecodeManaged = decodeManaged
)

// Overlap compares a part of a form, whose variables hold neither slash nor colon, with a text or a pattern.
func Overlap(form, pattern string, wild bool) bool {
	return overlap(steps(form, func(string) class { return inside }), pattern, wild)
}
