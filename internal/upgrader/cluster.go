package upgrader

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/secret"
)

// ServiceAccountFolder is where Kubernetes mounts the pod's service account.
const ServiceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount"

const (
	callTimeout = 30 * time.Second
	maxAnswer   = 4 << 20 // bytes; etcd holds less
	// fieldManager is whose the image is in managedFields, so that kubectl apply says who changed it.
	fieldManager = "belay-upgrader"
)

// Cluster is the API server.
type Cluster struct {
	server string // https://host:port
	folder string // of the service account: the token there is renewed while the pod runs
	client *http.Client
}

// InCluster finds the API server as pods do: by the variables KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT and the
// folder of the service account. It fails outside a pod, and in one whose token is not mounted.
func InCluster(env func(name string) string, folder string) (*Cluster, error) {
	host, port := env("KUBERNETES_SERVICE_HOST"), env("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: the upgrader runs in a pod of the cluster whose delegate it keeps")
	}
	authority, err := os.ReadFile(filepath.Join(folder, "ca.crt")) //nolint:gosec // the folder is where Kubernetes mounts it
	if err != nil {
		return nil, fmt.Errorf("the pod has no service account: set automountServiceAccountToken: true: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s holds no certificate", filepath.Join(folder, "ca.crt"))
	}
	return &Cluster{
		server: "https://" + net.JoinHostPort(host, port), folder: folder,
		// The API server is never asked through a proxy, and a redirect would carry the token elsewhere.
		client: &http.Client{
			Timeout:       callTimeout,
			Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: callTimeout / 3},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// workload is what of a Deployment or StatefulSet is looked at.
type workload struct {
	Kind     string `json:"-"` // as it was asked for
	Metadata struct {
		Name            string `json:"name"`
		Namespace       string `json:"namespace"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Spec struct {
		Template struct {
			Spec struct {
				Containers []containerImage `json:"containers"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

type containerImage struct {
	Name  string `json:"name"`
	Image string `json:"image"`
}

// resource is what the API server calls objects of a kind, or empty when the upgrader does not know them.
func resource(kind string) string {
	return map[string]string{"Deployment": "deployments", "StatefulSet": "statefulsets"}[kind]
}

func path(kind, namespace, name string) string {
	return "/apis/apps/v1/namespaces/" + url.PathEscape(namespace) + "/" + resource(kind) + "/" + url.PathEscape(name)
}

func (c *Cluster) workload(ctx context.Context, kind, namespace, name string) (workload, error) {
	w := workload{Kind: kind}
	err := c.call(ctx, http.MethodGet, path(kind, namespace, name), nil, nil, &w)
	if err != nil {
		return w, fmt.Errorf("read %s %q in namespace %q: %w", kind, name, namespace, err)
	}
	return w, nil
}

// setImage patches the image of one container. The workload must be as it was read: another's change in between is a
// Conflict, and the next run looks again. A dry run is checked by the server and not kept.
func (c *Cluster) setImage(ctx context.Context, w workload, container, image string, dryRun bool) error {
	patch := map[string]any{
		"metadata": map[string]any{"resourceVersion": w.Metadata.ResourceVersion},
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
			"containers": []containerImage{{container, image}}, // merged by name
		}}},
	}
	query := url.Values{"fieldManager": {fieldManager}}
	if dryRun {
		query.Set("dryRun", "All")
	}
	if err := c.call(ctx, http.MethodPatch, path(w.Kind, w.Metadata.Namespace, w.Metadata.Name), query, patch, &workload{}); err != nil {
		return fmt.Errorf("set the image of %s %q in namespace %q to %s: %w", w.Kind, w.Metadata.Name, w.Metadata.Namespace, image, err)
	}
	return nil
}

func (c *Cluster) call(ctx context.Context, method, path string, query url.Values, body, out any) error {
	token, err := c.token()
	if err != nil {
		return err
	}
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, c.server+path+"?"+query.Encode(), &content)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token.Reveal()) //nolint:forbidigo // the API server is the one who issued it
	r.Header.Set("Accept", "application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/strategic-merge-patch+json")
	}
	answer, err := c.client.Do(r)
	if err != nil {
		return fmt.Errorf("the API server does not answer: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("the API server's answer broke off: %w", err)
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		return refused(answer.StatusCode, text)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("the API server's answer is not JSON: %w", err)
	}
	return nil
}

// token is read for each call, since Kubernetes renews the file.
func (c *Cluster) token() (secret.Value, error) {
	text, err := os.ReadFile(filepath.Join(c.folder, "token"))
	if err != nil {
		return secret.Value{}, fmt.Errorf("the pod has no service account's token: set automountServiceAccountToken: true: %w", err)
	}
	return secret.NewValue(strings.TrimSpace(string(text))), nil
}

// refused makes an error of a Status of the API server.
func refused(code int, text []byte) error {
	var status struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(text, &status) != nil || status.Message == "" {
		status.Message = http.StatusText(code)
	}
	kind, hint := fault.Unavailable, ""
	switch code {
	case http.StatusNotFound:
		kind, hint = fault.NotFound, ". Set workloadKind, workloadName and namespace to those of the delegate's workload"
	case http.StatusUnauthorized:
		kind, hint = fault.Denied, ". The service account's token is not accepted"
	case http.StatusForbidden:
		kind, hint = fault.Denied, ". Give the upgrader's service account get and patch on this workload, or name the one it has them on"
	case http.StatusConflict:
		kind, hint = fault.Conflict, ". Somebody changed it meanwhile; the next run looks again"
	case http.StatusUnprocessableEntity, http.StatusBadRequest, http.StatusUnsupportedMediaType:
		kind = fault.Invalid
	}
	return fault.New(kind, "the API server answered %d: %s%s", code, strings.TrimSuffix(status.Message, "."), hint)
}
