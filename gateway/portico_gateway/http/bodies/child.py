"""The process that parses large bodies: a schema and a body on stdin, an object or a refusal on stdout, until stdin ends.

stdin ends with the parent, however that ends.
"""

from __future__ import annotations

import pickle
import sys

from portico_gateway.http.bodies.parse import parse_body
from portico_gateway.http.bodies.worker import HEADER, message


def main() -> None:
    """Answer until the parent hangs up."""
    read, write = sys.stdin.buffer, sys.stdout.buffer
    while len(head := read.read(HEADER.size)) == HEADER.size:
        schema = pickle.loads(read.read(HEADER.unpack(head)[0]))
        (size,) = HEADER.unpack(read.read(HEADER.size))
        write.write(message(parse_body(schema, read.read(size))))
        write.flush()


if __name__ == "__main__":
    main()
