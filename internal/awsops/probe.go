package awsops

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/belay-dev/belay/internal/arn"
	"github.com/belay-dev/belay/internal/connector"
)

// harmless is a call that changes nothing and reads next to nothing, from whose answer it can be told whether AWS allows its
// action. Only the answer's status and code are looked at.
type harmless struct {
	action  string
	service string // as AWS signs it
	id      string // as the environment names its endpoint: AWS_ENDPOINT_URL_ECS
	host    string // the endpoint's first word, when it is not the service
	method  string // GET or POST
	path    string // {bucket} is filled in
	query   string // of GET, or the form of POST
	target  string // X-Amz-Target of the JSON protocols; query is then the body
}

// calls are the harmless calls, by action. Sources: the API references of the services.
var calls = []harmless{ //nolint:gochecknoglobals // a table
	{action: "autoscaling:DescribeAutoScalingGroups", service: "autoscaling", id: "AUTO_SCALING", method: "POST", query: "Action=DescribeAutoScalingGroups&Version=2011-01-01&MaxRecords=1"},
	{action: "cloudformation:DescribeStacks", service: "cloudformation", id: "CLOUDFORMATION", method: "POST", query: "Action=DescribeStacks&Version=2010-05-15"},
	{action: "cloudformation:ListStacks", service: "cloudformation", id: "CLOUDFORMATION", method: "POST", query: "Action=ListStacks&Version=2010-05-15"},
	{action: "cloudwatch:ListMetrics", service: "monitoring", id: "CLOUDWATCH", method: "POST", query: "Action=ListMetrics&Version=2010-08-01"},
	{action: "codedeploy:ListApplications", service: "codedeploy", id: "CODEDEPLOY", method: "POST", target: "CodeDeploy_20141006.ListApplications", query: "{}"},
	{action: "ec2:DescribeInstances", service: "ec2", id: "EC2", method: "POST", query: "Action=DescribeInstances&Version=2016-11-15&MaxResults=5"},
	{action: "ec2:DescribeRegions", service: "ec2", id: "EC2", method: "POST", query: "Action=DescribeRegions&Version=2016-11-15"},
	{action: "ec2:DescribeSubnets", service: "ec2", id: "EC2", method: "POST", query: "Action=DescribeSubnets&Version=2016-11-15&MaxResults=5"},
	{action: "ec2:DescribeVpcs", service: "ec2", id: "EC2", method: "POST", query: "Action=DescribeVpcs&Version=2016-11-15&MaxResults=5"},
	{action: "ecr:DescribeRepositories", service: "ecr", id: "ECR", host: "api.ecr", method: "POST", target: "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories", query: `{"maxResults":1}`},
	{action: "ecs:ListClusters", service: "ecs", id: "ECS", method: "POST", target: "AmazonEC2ContainerServiceV20141113.ListClusters", query: `{"maxResults":1}`},
	{action: "eks:ListClusters", service: "eks", id: "EKS", method: "GET", path: "/clusters", query: "maxResults=1"},
	{action: "elasticloadbalancing:DescribeLoadBalancers", service: "elasticloadbalancing", id: "ELASTIC_LOAD_BALANCING_V2", method: "POST", query: "Action=DescribeLoadBalancers&Version=2015-12-01&PageSize=1"},
	{action: "elasticloadbalancing:DescribeTargetGroups", service: "elasticloadbalancing", id: "ELASTIC_LOAD_BALANCING_V2", method: "POST", query: "Action=DescribeTargetGroups&Version=2015-12-01&PageSize=1"},
	{action: "lambda:ListFunctions", service: "lambda", id: "LAMBDA", method: "GET", path: "/2015-03-31/functions/", query: "MaxItems=1"},
	{action: "logs:DescribeLogGroups", service: "logs", id: "CLOUDWATCH_LOGS", method: "POST", target: "Logs_20140328.DescribeLogGroups", query: `{"limit":1}`},
	{action: "s3:GetBucketLocation", service: "s3", id: "S3", method: "GET", path: "/{bucket}", query: "location="},
	{action: "s3:ListAllMyBuckets", service: "s3", id: "S3", method: "GET", path: "/"},
	{action: "s3:ListBucket", service: "s3", id: "S3", method: "GET", path: "/{bucket}", query: "list-type=2&max-keys=0"},
}

// probe makes the harmless calls for what is asked, as far as there are any.
func (s *Sessions) probe(ctx context.Context, cfg aws.Config, found *connector.Permissions, asked []connector.Asked) {
	creds, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return
	}
	for _, a := range asked {
		i := slices.IndexFunc(calls, func(c harmless) bool { return strings.EqualFold(c.action, a.Action) })
		if i < 0 || !calls[i].settles(a) {
			continue
		}
		if one, ok := s.try(ctx, cfg, creds, calls[i], a); ok {
			found.Probed = append(found.Probed, one)
		}
	}
}

// settles reports whether the call's answer is one to the question: it can neither name another resource than a bucket, nor
// carry condition keys.
func (c harmless) settles(a connector.Asked) bool {
	return a.Context == "" && (a.Resource == "*" || strings.Contains(c.path, "{bucket}"))
}

// try makes one call. It is not ok when the answer tells nothing: no such bucket, no answer, a fault of AWS.
func (s *Sessions) try(ctx context.Context, cfg aws.Config, creds aws.Credentials, c harmless, a connector.Asked) (connector.Probe, bool) {
	request, body, err := s.harmlessRequest(ctx, cfg, c, a.Resource)
	if err != nil {
		return connector.Probe{}, false
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if c.service == "s3" {
		request.Header.Set("X-Amz-Content-Sha256", hash)
	}
	if err := v4.NewSigner().SignHTTP(ctx, creds, request, hash, c.service, cfg.Region, time.Now()); err != nil {
		return connector.Probe{}, false
	}
	answer, err := cfg.HTTPClient.Do(request)
	if err != nil {
		return connector.Probe{}, false
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxErrorBody))
	one := connector.Probe{Action: a.Action, Resource: a.Resource, Context: a.Context, How: "called " + c.action, Allowed: answer.StatusCode < http.StatusMultipleChoices}
	if one.Allowed || err != nil {
		return one, err == nil
	}
	one.Code, one.Message = answerCode(text, answer.Header)
	if refused, ok := connector.ParseDenial(one.Message); ok && !strings.EqualFold(refused.Action, a.Action) {
		return one, false // some calls need several permissions: cloudformation:DescribeStacks, for one, ListStacks too
	}
	return one, slices.Contains([]string{"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}, one.Code)
}

// harmlessRequest is the call as an HTTP request, and its body.
func (s *Sessions) harmlessRequest(ctx context.Context, cfg aws.Config, c harmless, resource string) (*http.Request, []byte, error) {
	partition, _ := arn.PartitionOf(cfg.Region)
	host := c.host
	if host == "" {
		host = c.service
	}
	base := fmt.Sprintf("https://%s.%s.%s", host, cfg.Region, partition.DNSSuffix)
	if configured, ok := (endpoints{env: s.env}).of(strings.ReplaceAll(c.id, "_", " ")); ok {
		base = strings.TrimSuffix(configured, "/")
	}
	path := c.path
	if path == "" {
		path = "/"
	}
	if strings.Contains(path, "{bucket}") {
		bucket, err := arn.Parse(resource)
		if err != nil || bucket.Resource == "" || strings.ContainsAny(bucket.Resource, "*?/") {
			return nil, nil, fmt.Errorf("%s is no bucket", resource)
		}
		path = strings.ReplaceAll(path, "{bucket}", url.PathEscape(bucket.Resource))
	}
	var body []byte
	address := base + path
	if c.method == http.MethodPost {
		body = []byte(c.query)
	} else if c.query != "" {
		address += "?" + c.query
	}
	request, err := http.NewRequestWithContext(ctx, c.method, address, strings.NewReader(string(body)))
	if err != nil {
		return nil, nil, err
	}
	switch {
	case c.target != "":
		request.Header.Set("X-Amz-Target", c.target)
		request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	case c.method == http.MethodPost:
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return request, body, nil
}

// answerCode is AWS's code and message in a refusal, in whichever of its protocols.
func answerCode(body []byte, header http.Header) (code, message string) {
	if found, ok := readEnvelope(body); ok {
		return found.code, found.message
	}
	var bare struct { // S3 puts nothing around it
		XMLName xml.Name `xml:"Error"`
		shownError
	}
	if xml.Unmarshal(body, &bare) == nil && bare.Code != "" {
		return bare.Code, bare.Message
	}
	var plain struct {
		Type    string `json:"__type"`
		Code    string `json:"code"`
		Message string `json:"message"`
		Upper   string `json:"Message"`
	}
	if json.Unmarshal(body, &plain) == nil {
		code, message = plain.Type+plain.Code, plain.Message+plain.Upper
	}
	if header.Get("X-Amzn-Errortype") != "" {
		code = header.Get("X-Amzn-Errortype")
	}
	code = code[strings.LastIndexByte(code, '#')+1:]
	code, _, _ = strings.Cut(code, ":")
	return code, message
}
