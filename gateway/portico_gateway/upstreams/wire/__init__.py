"""The connection to one MCP server, whichever way it is reached, and whatever it says.

    transports.py      a child process's pipes, Streamable HTTP, or the older HTTP+SSE
    child_process.py   its process, over stdio
    server_process.py  how that is started: by itself, or where it is one of ours
    fork_server.py     forked from a process that has imported what it needs
    pipe_requests.py   requests over its pipes: a line out, and the line that answers it
    whole_messages.py  which of its lines are one message
    asked_requests.py  how much a server may ask, and the answers that need no session
    process_tree.py    the end of all that a server started, also when this gateway is killed
    stderr_log.py      what a server writes to stderr, bounded
    messages.py        bytes as JSON-RPC messages, read leniently
    http_answers.py    what bounds an HTTP answer, and what its status means
    mended_streams.py  a connection's streams, whose answers are mended on their way in
    answers.py         the rules by which they are
    connection.py      what is known of one connection and its end

It knows neither catalog nor policy, and decides nothing about restarts.
"""
