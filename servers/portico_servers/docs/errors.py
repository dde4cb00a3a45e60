"""What can go wrong with documentation, typed.

DocsError
├── SourceError        a directory, package or address to be indexed that can't be used; the message says what would be right
├── ReadError          one page that can't be read (the others go on): damaged, encrypted, too large, not what its name says
├── FetchRefused       an address that may not be fetched: private network, robots.txt, not http(s)
├── TooSlow            a question that was not answered within its time, or whose asker has gone
├── IndexUnwritable    the index's file can't be written: a full disk, no permission, another writer that doesn't end
└── PageNotFound       no such library, version, page or section; also what lies outside the roots
"""

from __future__ import annotations


class DocsError(Exception):
    """Anything that this server says no to. Its text is meant for the user."""


class SourceError(DocsError):
    pass


class ReadError(DocsError):
    pass


class FetchRefused(DocsError):
    pass


class TooSlow(DocsError):
    pass


class IndexUnwritable(DocsError):
    pass


class PageNotFound(DocsError):
    pass
