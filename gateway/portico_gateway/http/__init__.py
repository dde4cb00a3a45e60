"""The HTTP side: the APIs of OpenAI, Anthropic and Ollama over the local model, MCP over Streamable HTTP, approvals, health,
metrics.

    app.py             create_app: routes, middleware and life put together
    apis.py            the table of APIs; a new one is a folder and a line there
    openai_chat/       POST /v1/chat/completions
    openai_completions/  POST /v1/completions
    openai_responses/  /v1/responses
    openai_shared/     what OpenAI's APIs have in common, and /v1/models
    anthropic/         POST /v1/messages
    ollama/            /api/chat, /api/generate, /api/tags, /api/show, /api/ps
    tokens/            POST /tokenize and /detokenize
    ranking/           POST /v1/rerank; /v1/embeddings, which says what is missing
    decisions/         POST /v1/decisions and /v1/systemone
    generation/        the request and the answer behind all of them, in no API's words
    server_tools/      the gateway's own tools behind OpenAI's APIs: tools of type "mcp"
    approvals.py       /v1/approvals
    health.py          /healthz, /readyz
    feedback.py        /v1/feedback
    middleware/        what every request goes through
    bodies/            from a body's bytes to its wire schema's object, within bounds
    server/            uvicorn, with what one client's connections may take
    identity.py        who asks, by name
    quotas.py          what each key may use a day, and has used
    draining.py        how a server ends: no new requests, time for the others, a proper end for streams
    limits.py          how many requests of one caller run and wait
    api.py             what an API tells of itself
    wire.py            what the wire schemas are made of; the engine's ranges of sampling parameters
    validation.py      what pydantic minds in a body, as an error that names the client's field
    errors.py          ApiError, and the engine's errors as one
    openapi.py         /openapi.json, with every status that there is
    error_handlers.py  errors in the shape of the API that was called
    json_text.py       values as JSON that every parser takes
    sse.py             server-sent events, and work that ends where the client hangs up

An API's folder imports `generation/` and never another API's; the table alone knows them all.
"""
