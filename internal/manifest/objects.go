package manifest

// The shapes of Kubernetes objects, as far as the forms need them, in the order in which people write them. The fields are
// those of https://kubernetes.io/docs/reference/kubernetes-api/ for the apiVersion that each object names.

type meta struct {
	Name        string            `yaml:"name,omitempty"`
	Namespace   string            `yaml:"namespace,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

type object struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   meta   `yaml:"metadata"`

	Automount  *bool             `yaml:"automountServiceAccountToken,omitempty"` // ServiceAccount
	Type       string            `yaml:"type,omitempty"`                         // Secret
	StringData map[string]string `yaml:"stringData,omitempty"`                   // Secret
	Data       map[string]string `yaml:"data,omitempty"`                         // ConfigMap
	Subjects   []subject         `yaml:"subjects,omitempty"`                     // bindings
	RoleRef    *roleRef          `yaml:"roleRef,omitempty"`                      // bindings
	Rules      []rule            `yaml:"rules,omitempty"`                        // Role
	Spec       any               `yaml:"spec,omitempty"`
}

type subject struct {
	Kind      string `yaml:"kind"`
	Name      string `yaml:"name"`
	Namespace string `yaml:"namespace"`
}

type roleRef struct {
	APIGroup string `yaml:"apiGroup"`
	Kind     string `yaml:"kind"`
	Name     string `yaml:"name"`
}

type rule struct {
	APIGroups     []string `yaml:"apiGroups"`
	Resources     []string `yaml:"resources"`
	ResourceNames []string `yaml:"resourceNames"`
	Verbs         []string `yaml:"verbs"`
}

type selector struct {
	MatchLabels map[string]string `yaml:"matchLabels"`
}

type workload struct {
	ServiceName     string    `yaml:"serviceName,omitempty"` // StatefulSet
	Replicas        *int      `yaml:"replicas,omitempty"`
	MinReadySeconds int       `yaml:"minReadySeconds"`
	PodManagement   string    `yaml:"podManagementPolicy,omitempty"` // StatefulSet
	Strategy        *strategy `yaml:"strategy,omitempty"`            // Deployment
	Selector        selector  `yaml:"selector"`
	Template        template  `yaml:"template"`
}

type strategy struct {
	Type          string  `yaml:"type"`
	RollingUpdate rolling `yaml:"rollingUpdate"`
}

type rolling struct {
	MaxSurge       int `yaml:"maxSurge"`
	MaxUnavailable int `yaml:"maxUnavailable"`
}

type template struct {
	Metadata meta `yaml:"metadata,omitempty"`
	Spec     pod  `yaml:"spec"`
}

type pod struct {
	ServiceAccountName string      `yaml:"serviceAccountName"`
	Automount          bool        `yaml:"automountServiceAccountToken"`
	RestartPolicy      string      `yaml:"restartPolicy,omitempty"`
	Grace              int         `yaml:"terminationGracePeriodSeconds,omitempty"`
	Security           podSecurity `yaml:"securityContext"`
	Containers         []container `yaml:"containers"`
	Volumes            []volume    `yaml:"volumes,omitempty"`
}

type podSecurity struct {
	RunAsNonRoot bool    `yaml:"runAsNonRoot"`
	RunAsUser    int     `yaml:"runAsUser"`
	RunAsGroup   int     `yaml:"runAsGroup"`
	FSGroup      int     `yaml:"fsGroup"`
	Seccomp      seccomp `yaml:"seccompProfile"`
}

type seccomp struct {
	Type string `yaml:"type"`
}

type container struct {
	Name         string      `yaml:"name"`
	Image        string      `yaml:"image"`
	PullPolicy   string      `yaml:"imagePullPolicy,omitempty"`
	Args         []string    `yaml:"args,omitempty"`
	Env          []variable  `yaml:"env,omitempty"`
	Ports        []port      `yaml:"ports,omitempty"`
	StartupProbe *probe      `yaml:"startupProbe,omitempty"`
	Liveness     *probe      `yaml:"livenessProbe,omitempty"`
	Readiness    *probe      `yaml:"readinessProbe,omitempty"`
	Resources    resources   `yaml:"resources"`
	Security     confinement `yaml:"securityContext"`
	Mounts       []mount     `yaml:"volumeMounts,omitempty"`
}

type variable struct {
	Name  string  `yaml:"name"`
	Value *string `yaml:"value,omitempty"`
	From  *source `yaml:"valueFrom,omitempty"`
}

type source struct {
	Secret *keyRef   `yaml:"secretKeyRef,omitempty"`
	Field  *fieldRef `yaml:"fieldRef,omitempty"`
}

type keyRef struct {
	Name string `yaml:"name"`
	Key  string `yaml:"key"`
}

type fieldRef struct {
	Path string `yaml:"fieldPath"`
}

type port struct {
	Name          string `yaml:"name"`
	ContainerPort int    `yaml:"containerPort"`
}

type probe struct {
	HTTPGet          httpGet `yaml:"httpGet"`
	PeriodSeconds    int     `yaml:"periodSeconds"`
	TimeoutSeconds   int     `yaml:"timeoutSeconds"`
	FailureThreshold int     `yaml:"failureThreshold"`
}

type httpGet struct {
	Path string `yaml:"path"`
	Port string `yaml:"port"`
}

type resources struct {
	Requests map[string]string `yaml:"requests"`
	Limits   map[string]string `yaml:"limits"`
}

type confinement struct {
	AllowPrivilegeEscalation bool         `yaml:"allowPrivilegeEscalation"`
	ReadOnlyRootFilesystem   bool         `yaml:"readOnlyRootFilesystem"`
	Capabilities             capabilities `yaml:"capabilities"`
}

type capabilities struct {
	Drop []string `yaml:"drop"`
}

type mount struct {
	Name      string `yaml:"name"`
	MountPath string `yaml:"mountPath"`
	ReadOnly  bool   `yaml:"readOnly,omitempty"`
}

type volume struct {
	Name      string        `yaml:"name"`
	EmptyDir  *emptyDir     `yaml:"emptyDir,omitempty"`
	ConfigMap *configVolume `yaml:"configMap,omitempty"`
}

type emptyDir struct {
	SizeLimit string `yaml:"sizeLimit"`
}

type configVolume struct {
	Name string `yaml:"name"`
}

type disruption struct {
	MaxUnavailable int      `yaml:"maxUnavailable"`
	Selector       selector `yaml:"selector"`
}

type service struct {
	ClusterIP string            `yaml:"clusterIP"`
	Selector  map[string]string `yaml:"selector"`
	Ports     []servicePort     `yaml:"ports"`
}

type servicePort struct {
	Name       string `yaml:"name"`
	Port       int    `yaml:"port"`
	TargetPort string `yaml:"targetPort"`
}

type scaler struct {
	Target   scaleTarget `yaml:"scaleTargetRef"`
	Min      int         `yaml:"minReplicas"`
	Max      int         `yaml:"maxReplicas"`
	Metrics  []metric    `yaml:"metrics"`
	Behavior behavior    `yaml:"behavior"`
}

type scaleTarget struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Name       string `yaml:"name"`
}

type metric struct {
	Type     string         `yaml:"type"`
	Resource resourceMetric `yaml:"resource"`
}

type resourceMetric struct {
	Name   string       `yaml:"name"`
	Target metricTarget `yaml:"target"`
}

type metricTarget struct {
	Type        string `yaml:"type"`
	Utilization int    `yaml:"averageUtilization"`
}

type behavior struct {
	ScaleDown scaleDown `yaml:"scaleDown"`
}

type scaleDown struct {
	Window int `yaml:"stabilizationWindowSeconds"`
}

type cronJob struct {
	Schedule          string      `yaml:"schedule"`
	Concurrency       string      `yaml:"concurrencyPolicy"`
	StartingDeadline  int         `yaml:"startingDeadlineSeconds"`
	SuccessfulHistory int         `yaml:"successfulJobsHistoryLimit"`
	FailedHistory     int         `yaml:"failedJobsHistoryLimit"`
	JobTemplate       jobTemplate `yaml:"jobTemplate"`
}

type jobTemplate struct {
	Spec job `yaml:"spec"`
}

type job struct {
	BackoffLimit   int      `yaml:"backoffLimit"`
	ActiveDeadline int      `yaml:"activeDeadlineSeconds"`
	Template       template `yaml:"template"`
}
