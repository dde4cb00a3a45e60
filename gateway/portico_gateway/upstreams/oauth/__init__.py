"""Authorization at servers over HTTP, by OAuth 2.1 as MCP has it: a person logs in once, the gateway keeps and renews tokens.

    token_store.py    tokens and registrations, a private file a server
    authorization.py  requests with a token, and what becomes of a refusal
    login.py          a person's log-in: the browser, and the redirect that comes back

The flows themselves (discovery, registration, PKCE, scopes, issuers) are the SDK's. Nobody is asked while the gateway serves: a
server that wants a log-in is unavailable until `portico login` was run.
"""
