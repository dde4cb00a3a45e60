"""What every request goes through, from the outside in.

    requests.py     RequestMiddleware: an id, a span, a line in the log; refuses what is new while the server ends
    metrics.py      MetricsMiddleware: requests by route, status and time, and the text of GET /metrics
    model_metrics.py  the models' part of that text
    host_origin.py  HostOriginMiddleware: Host, Origin and the announced size
    auth.py         AuthMiddleware: what a key's scopes open
    keys.py         BearerTokenVerifier: what a bearer token stands for
    introspection.py  what the authorization server says of a token, asked once
    panics.py       PanicMiddleware: a panic of native code is an error as others
    body.py         BodyMiddleware: reads the body, within a size, a time and the bounds of its JSON

Refusals have the shape of the API that was called; which one that is, and where its clients send their key, `apis.py` says.
"""
