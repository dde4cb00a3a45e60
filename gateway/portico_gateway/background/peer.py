"""Which user is at the other end of a Unix socket, by the system's word, where it gives one."""

from __future__ import annotations

import os
import socket
import struct
import sys

from portico_gateway.errors import GatewayError

_LOCAL_PEERCRED = 1  # macOS and the BSDs, at level 0: struct xucred begins with its version and the user's id


class ForeignPeer(GatewayError):
    """Another user is at the other end."""


def peer_user(connection: socket.socket) -> int | None:
    """The effective user id; None where this system can't say."""
    try:
        if hasattr(socket, "SO_PEERCRED"):
            found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return int(struct.unpack("3i", found)[1])
        if sys.platform == "darwin" or "bsd" in sys.platform:
            return int(struct.unpack_from("II", connection.getsockopt(0, _LOCAL_PEERCRED, 76))[1])
    except OSError:
        return None
    return None


def refuse_foreign(connection: socket.socket) -> None:
    """Raises ForeignPeer where somebody else is there. Where the system can't say, the folder's permissions have to do."""
    user = peer_user(connection)
    if user is not None and user != os.geteuid():
        raise ForeignPeer(f"another user (id {user}) is at the other end of the socket")
