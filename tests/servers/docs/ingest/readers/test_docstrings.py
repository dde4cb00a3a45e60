"""Docstrings, read from the source and never imported."""

from __future__ import annotations

import pytest

from portico_servers.docs.errors import ReadError
from portico_servers.docs.ingest.readers.docstrings import module_name, read_docstrings

SOURCE = '''"""Boxes and what goes in."""
raise SystemExit("importing this would end the process")
__all__ = ["_exported"]

class Box(Base):
    """A box."""
    def __init__(self, size, /, *, lid: bool = True):
        """Make one."""
    def open(self, force: bool = False) -> None:
        """Open it.

        With force, at once.
        """
    @property
    def size(self): "The size."
    @staticmethod
    def of(items): "From items."
    def _hidden(self): "Private."

if True:
    async def ship(box, to="home"): "Send it."
def _private(): "Not shown."
def _exported(): "Shown."
'''


def test_signatures_and_docstrings_stand_under_dotted_names_with_the_line_of_their_source() -> None:
    page = read_docstrings("pack/box.py", SOURCE)
    assert [(s.anchor, s.level, s.title) for s in page.sections] == [
        ("module-pack.box", 1, "pack.box"),
        ("pack.box.Box", 2, "pack.box.Box(size, /, *, lid: bool=True)"),
        ("pack.box.Box.open", 3, "pack.box.Box.open(force: bool=False) -> None"),
        ("pack.box.Box.size", 3, "pack.box.Box.size"),
        ("pack.box.Box.of", 3, "pack.box.Box.of(items)"),
        ("pack.box.ship", 2, "pack.box.ship(box, to='home')"),
        ("pack.box._exported", 2, "pack.box._exported()"),
    ]
    assert (
        "class pack.box.Box(size, /, *, lid: bool=True), a Base\n(defined in pack/box.py, line 5)\n\nA box.\n\nMake one."
        in page.text
    )
    assert "Open it.\n\nWith force, at once." in page.text
    assert "Private." not in page.text


def test_a_package_is_named_by_its_directory() -> None:
    assert module_name("pack/__init__.py") == "pack"
    assert module_name("pack/sub/mod.py") == "pack.sub.mod"


def test_what_is_not_python_is_refused() -> None:
    with pytest.raises(ReadError, match="not Python"):
        read_docstrings("x.py", "def (")
