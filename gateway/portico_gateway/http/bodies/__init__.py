"""From the bytes of a body to what its API's schema makes of it, within bounds, so that one client's body stops nobody else.

    measure.py  how many values a body has and how deep they lie, before anything is made of them; the bounds
    parse.py    the bytes as the schema's object, or why not
    worker.py   BodyWorker: the same in a child process, for bodies whose parsing would hold the event loop up
    child.py    that process
    route.py    BodyRoute: has the routes of the APIs read their bodies so

`middleware/body.py` reads the bytes. Nothing here knows an API; what runs in the child knows no HTTP server.
"""
