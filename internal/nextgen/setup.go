package nextgen

// DelegateSetup is what clients say of a delegate whose install file they want. Its size is not looked at: a delegate of
// Belay's is small, and what it needs more follows from its tools.
type DelegateSetup struct {
	Name                   string   `json:"name"`
	Description            string   `json:"description"`
	Size                   string   `json:"size"`
	Tags                   []string `json:"tags"`
	TokenName              string   `json:"tokenName"`
	ClusterPermissionType  string   `json:"clusterPermissionType"`
	CustomClusterNamespace string   `json:"customClusterNamespace"`
}
