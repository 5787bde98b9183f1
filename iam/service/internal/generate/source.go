package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// archive is the content of an npm package, by path inside it.
type archive struct {
	name, version string
	files         map[string][]byte
}

// id is what the package is called in the files that are made of it.
func (a archive) id() string { return a.name + " " + a.version }

func (a archive) file(path string) ([]byte, error) {
	text, ok := a.files[path]
	if !ok {
		return nil, fmt.Errorf("%s holds no %s: its layout has changed", a.id(), path)
	}
	return text, nil
}

// maxFile bounds a file of a package; the largest is near 80 MB.
const maxFile = 256 << 20

// fetch takes a package from the registry that npm is configured for, and refuses it when its sum is another.
func fetch(ctx context.Context, name, version, sum string) (_ archive, err error) {
	folder, err := os.MkdirTemp("", "belay-generate-")
	if err != nil {
		return archive{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	pack := exec.CommandContext(ctx, "npm", "pack", "--silent", "--pack-destination", folder, name+"@"+version) //nolint:gosec // the constants of this program
	pack.Stderr = os.Stderr
	if err := pack.Run(); err != nil {
		return archive{}, fmt.Errorf("npm pack %s@%s: %w", name, version, err)
	}
	found, err := filepath.Glob(filepath.Join(folder, "*.tgz"))
	if err != nil || len(found) != 1 {
		return archive{}, fmt.Errorf("npm pack %s@%s: made %d files, not one", name, version, len(found))
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		return archive{}, err
	}
	return unpack(name, version, sum, text)
}

// unpack checks the sum of a package's tarball, in the notation of package-lock.json, and reads its files.
func unpack(name, version, sum string, tarball []byte) (archive, error) {
	digest := sha512.Sum512(tarball)
	if got := "sha512-" + base64.StdEncoding.EncodeToString(digest[:]); got != sum {
		return archive{}, fmt.Errorf("%s@%s has the sum %s, pinned is %s: it is not what was reviewed", name, version, got, sum)
	}
	a := archive{name, version, map[string][]byte{}}
	compressed, err := gzip.NewReader(bytes.NewReader(tarball))
	if err != nil {
		return archive{}, fmt.Errorf("read %s: %w", a.id(), err)
	}
	for t := tar.NewReader(compressed); ; {
		header, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return a, nil
		case err != nil:
			return archive{}, fmt.Errorf("read %s: %w", a.id(), err)
		case header.Typeflag != tar.TypeReg:
			continue
		case header.Size > maxFile:
			return archive{}, fmt.Errorf("read %s: %s has %d bytes", a.id(), header.Name, header.Size)
		}
		text, err := io.ReadAll(t)
		if err != nil {
			return archive{}, fmt.Errorf("read %s: %w", a.id(), err)
		}
		_, path, _ := strings.Cut(header.Name, "/") // npm puts everything below package/
		a.files[path] = text
	}
}

// notices are the licences of the packages, as they ask for.
func notices(packages ...archive) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("The tables in this folder are made from these packages of the npm registry.\n" +
		"What they hold are facts and policy documents that AWS publishes.\n")
	for _, p := range packages {
		path := "LICENSE"
		if _, ok := p.files["LICENSE.txt"]; ok {
			path = "LICENSE.txt"
		}
		text, err := p.file(path)
		if err != nil {
			return nil, err
		}
		licence := strings.ReplaceAll(strings.TrimSpace(string(text)), "\r\n", "\n")
		_, _ = fmt.Fprintf(&b, "\n---\n\n%s\n\n%s\n", p.id(), licence)
	}
	return b.Bytes(), nil
}

// compress makes a gzip file without name and time, so that the same text gives the same bytes.
func compress(text []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
