package e2e_test

func webIdentityFaults() map[string]fault { return nil }
func placeFaults() map[string]fault { return nil }
func networkFaults() map[string]fault { return nil }
