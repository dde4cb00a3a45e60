"""A process that stays behind a command and answers its next questions: nothing is started or loaded twice.

    key.py              what two processes must have in common for one to answer for the other
    socket_place.py     where its Unix socket is, for its owner alone, and the lock that keeps it one process a key
    peer.py             which user is at the other end of a socket
    protocol.py         the JSON lines that go over it
    client.py           the command's end: finds or starts the process, relays the terminal
    memory.py           how much memory that process and its children take
    server.py           the process's end: takes questions, ends when nobody asks any more
    remote_terminal.py  the client's terminal, as the process sees it

The client's modules import little, for that is most of what a second question waits for. What an answer is, is unknown here.
"""
