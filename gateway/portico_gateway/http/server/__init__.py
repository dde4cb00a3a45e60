"""The HTTP server under the application: uvicorn, with what one client's connections may take.

    server.py      HttpServer: accepts, and goes on accepting where the process has run out of file handles

It knows no path and no API.
"""
