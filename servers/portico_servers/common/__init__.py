"""What the three servers share. Nothing here knows source code, documents or databases.

    question_readers.py  what a gateway that started a server asks it of a question
    server.py         PorticoServer: refusals in plain words, with the protocol's own codes
    refused_requests.py  invalid parameters and cursors are refused with what is wrong; also the gateway's
    panics.py         what is no Exception ends its request, not the server; also the gateway's
    transport.py      stdio and Streamable HTTP, both eras of the protocol; also the gateway's
    mcp_sessions.py   MCP over HTTP in the handshake eras: plain JSON where an answer comes first; also the gateway's
    http_connection.py  slow heads, idle connections and readers that don't read end; also the gateway's
    host_messages.py  what a host writes as messages, and why it is none; every request is answered by its id
    json_rpc.py       JSON text as one message; also the gateway's
    spans.py          spans are made where somebody takes them; also the gateway's
    lines.py          bytes as lines of bounded length; also the gateway's
    stdio_streams.py  a host's messages on fd 0 and those for it on fd 1; also the gateway's
    edges.py          what comes in over HTTP is a message that is Unicode; how messages are encoded; also the gateway's
    unicode_text.py   halves of surrogate pairs become U+FFFD
    inert_text.py     what would act on a terminal is shown, not sent; also the gateway's
    tools.py          annotations, input schemas, results and errors of tools
    list_changed.py   tells hosts in both eras that a list changed
    cursors.py        cursors of paged results, bound to their question
    validation.py     JSON Schema validators
    collector.py      the garbage collector rests while a process starts; also the gateway's
    fork_server.py    one process imports, and becomes each of our servers by a fork; the gateway starts it
    child_process.py  Python children that import nothing from the working directory
    cache_folder.py   an index whose cache folder can't be used lies in a temporary one
    regular_files.py  files are opened, and no pipes; also the gateway's
    path_jail.py      names from outside become files beneath the roots, or nothing
    embeddings.py     static text embeddings, loaded once a process; also the gateway's
    search_path.py    programs are looked for in folders that PATH names in full; also the gateway's
    standard_streams.py  streams that a caller has closed lead nowhere; also the gateway's
    text_budget.py    cutting text to a budget
    sqlite_header.py  what an SQLite file starts with; also the gateway's
    version.py        the version that hosts are told

transport and server know MCP's SDK; path_jail, embeddings, text_budget and cursors would serve any program.
"""
