"""The one place that builds a gateway: upstreams, policy, audit, tool calls, model."""
