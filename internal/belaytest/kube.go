package belaytest

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// Kube stands in for a Kubernetes API server, for the calls that get and patch one Deployment, or StatefulSet. It checks what a real one
// checks of them: TLS, the bearer token, the rights of the service account, the path, the type of the patch, dryRun,
// resourceVersion; it merges containers by name as a strategic merge does, and answers failures with a Status. It knows
// nothing else: no watch, no defaults, no admission, no rollout.
type Kube struct {
	Host, Port string
	Folder     string // of a service account: token and ca.crt

	mu        sync.Mutex
	kind      string
	resource  string // the kind as paths have it
	namespace string
	name      string
	version   int
	images    map[string]string // by container
	order     []string
	readOnly  bool
	touched   func() // between the get and the patch
	log       []string
}

const kubeToken = "service-account-token"

// NewKube starts one that has a Deployment with one container.
func NewKube(tb testing.TB, namespace, name, container, image string) *Kube {
	tb.Helper()
	k := &Kube{
		kind: "Deployment", resource: "deployments", namespace: namespace, name: name, version: 7, images: map[string]string{"sidecar": "registry.example.com/sidecar:1", container: image},
		order: []string{"sidecar", container}, Folder: tb.TempDir(),
	}
	server := httptest.NewTLSServer(k)
	tb.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		tb.Fatal(err)
	}
	k.Host, k.Port = at.Hostname(), at.Port()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for file, text := range map[string][]byte{"ca.crt": authority, "token": []byte(kubeToken + "\n")} {
		if err := os.WriteFile(filepath.Join(k.Folder, file), text, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return k
}

// ReadOnly takes away the right to patch.
func (k *Kube) ReadOnly() { k.change(func() { k.readOnly = true }) }

// StatefulSet makes a StatefulSet of the Deployment.
func (k *Kube) StatefulSet() { k.change(func() { k.kind, k.resource = "StatefulSet", "statefulsets" }) }

// Meanwhile lets somebody else change the Deployment after it was read.
func (k *Kube) Meanwhile() { k.change(func() { k.touched = func() { k.version++ } }) }

func (k *Kube) change(do func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	do()
}

// Image is that of a container now.
func (k *Kube) Image(container string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.images[container]
}

// Calls are the calls that were answered with success, in their order.
func (k *Kube) Calls() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string{}, k.log...)
}

type kubePatch struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Spec struct {
		Template struct {
			Spec struct {
				Containers []kubeContainer `json:"containers"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

type kubeContainer struct {
	Name  string `json:"name"`
	Image string `json:"image"`
}

// ServeHTTP answers one call.
func (k *Kube) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	fail := func(code int, reason, format string, args ...any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code, "message": fmt.Sprintf(format, args...),
		})
	}
	path := "/apis/apps/v1/namespaces/" + k.namespace + "/" + k.resource + "/" + k.name
	who := "system:serviceaccount:" + k.namespace + ":upgrader"
	switch {
	case r.Header.Get("Authorization") != "Bearer "+kubeToken:
		fail(http.StatusUnauthorized, "Unauthorized", "Unauthorized")
	case r.Method != http.MethodGet && (r.Method != http.MethodPatch || k.readOnly):
		fail(http.StatusForbidden, "Forbidden", "%s.apps %q is forbidden: User %q cannot patch resource %q in API group \"apps\" in the namespace %q", k.resource, k.name, who, k.resource, k.namespace)
	case r.URL.Path != path:
		fail(http.StatusNotFound, "NotFound", "%s.apps %q not found", filepath.Base(filepath.Dir(r.URL.Path)), filepath.Base(r.URL.Path))
	case r.Method == http.MethodGet:
		k.write(w, r, k.images)
		if k.touched != nil {
			k.touched()
		}
	default:
		k.patch(w, r, fail)
	}
}

func (k *Kube) patch(w http.ResponseWriter, r *http.Request, fail func(code int, reason, format string, args ...any)) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/strategic-merge-patch+json" {
		fail(http.StatusUnsupportedMediaType, "UnsupportedMediaType", "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json")
		return
	}
	var p kubePatch
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		fail(http.StatusBadRequest, "BadRequest", "error decoding patch: %v", err)
		return
	}
	if v := p.Metadata.ResourceVersion; v != "" && v != strconv.Itoa(k.version) {
		fail(http.StatusConflict, "Conflict", "Operation cannot be fulfilled on %s.apps %q: the object has been modified; please apply your changes to the latest version and try again", k.resource, k.name)
		return
	}
	dry := r.URL.Query()["dryRun"]
	if len(dry) > 0 && dry[0] != "All" {
		fail(http.StatusUnprocessableEntity, "Invalid", "PatchOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: %q: supported values: \"All\"", dry[0])
		return
	}
	images := maps.Clone(k.images)
	for i, c := range p.Spec.Template.Spec.Containers {
		if _, there := images[c.Name]; !there || c.Image == "" { // a new one would lack its image or be one too many
			fail(http.StatusUnprocessableEntity, "Invalid", "%s.apps %q is invalid: spec.template.spec.containers[%d].image: Required value", k.kind, k.name, i)
			return
		}
		images[c.Name] = c.Image
	}
	if len(dry) == 0 {
		k.images = images
		k.version++
	}
	k.write(w, r, images)
}

func (k *Kube) write(w http.ResponseWriter, r *http.Request, images map[string]string) {
	k.log = append(k.log, r.Method+" "+r.URL.RequestURI())
	var containers []kubeContainer
	for _, name := range k.order {
		containers = append(containers, kubeContainer{name, images[name]})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"apiVersion": "apps/v1", "kind": k.kind,
		"metadata": map[string]any{"name": k.name, "namespace": k.namespace, "resourceVersion": strconv.Itoa(k.version)},
		"spec":     map[string]any{"template": map[string]any{"spec": map[string]any{"containers": containers}}},
	})
}
