package service_test

import (
	"fmt"

	"github.com/belay-dev/belay/iam/service"
)

// What an action works on, and whether a Resource of a policy can ever help it.
func Example() {
	reference, err := service.Load()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"s3:GetObject", "s3:ListAllMyBuckets"} {
		action, _ := reference.Action(name)
		fmt.Println(action, action.Access, "resourceless:", action.Resourceless())
		for _, resource := range []string{"arn:aws:s3:::logs", "arn:aws:s3:::logs/*", "*"} {
			fmt.Println(" ", resource, action.FitsPattern(resource))
		}
	}
	// Output:
	// s3:GetObject Read resourceless: false
	//   arn:aws:s3:::logs false
	//   arn:aws:s3:::logs/* true
	//   * true
	// s3:ListAllMyBuckets List resourceless: true
	//   arn:aws:s3:::logs false
	//   arn:aws:s3:::logs/* false
	//   * true
}

// The document of a managed policy.
func ExampleManaged_Policy() {
	managed, err := service.LoadManaged()
	if err != nil {
		fmt.Println(err)
		return
	}
	policy, _ := managed.Policy("arn:aws:iam::aws:policy/AdministratorAccess")
	fmt.Println(policy.Name, policy.Version)
	fmt.Println(string(policy.Document))
	// Output:
	// AdministratorAccess v1
	// {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}
}
