"""The HTTP server under the application: uvicorn, with what one client's connections may take.

    connection.py  BoundedConnection: slow heads, idle connections and readers that don't read end
    server.py      HttpServer: accepts, and goes on accepting where the process has run out of file handles

It knows no path and no API.
"""
