package session

// ServiceName is the SDK's service id ("Elastic Load Balancing v2") as IAM, the
// rate limits and api.Sync.Calls spell it ("elasticloadbalancing").
func ServiceName(id string) string { return serviceName(id) }
