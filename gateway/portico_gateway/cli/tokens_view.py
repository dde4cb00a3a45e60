"""How a text is cut into tokens: pieces in turn of two colours, models side by side, and their figures. It cuts nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from portico_gateway.safe_output.inert import inert

_STYLES = ("black on bright_cyan", "black on bright_yellow")
_BORDER = "|"  # between pieces, where there are no colours
_SHOWN = 4000  # tokens that are shown; figures count all


@dataclass(frozen=True, slots=True)
class CutText:
    """A text as one model's tokens: ids, and the bytes of each."""

    model: str
    ids: tuple[int, ...]
    pieces: tuple[bytes, ...]
    characters: int
    n_bytes: int

    @property
    def per_character(self) -> float:
        return len(self.ids) / max(1, self.characters)

    @property
    def per_byte(self) -> float:
        return len(self.ids) / max(1, self.n_bytes)


def show_tokens(cuts: Sequence[CutText], console: Console, *, with_ids: bool) -> None:
    """Figures of all models, then their pieces side by side."""
    figures = Table(box=None, pad_edge=False, show_edge=False)
    for name in ("model", "tokens", "a character", "a byte"):
        figures.add_column(name, justify="left" if name == "model" else "right")
    for cut in cuts:
        row = (inert(cut.model), str(len(cut.ids)), f"{cut.per_character:.3f}", f"{cut.per_byte:.3f}")
        figures.add_row(*(Text(cell) for cell in row))
    console.print(figures)
    console.print()
    coloured = console.color_system is not None
    if len(cuts) == 1:
        console.print(_pieces(cuts[0], coloured=coloured, with_ids=with_ids), soft_wrap=True)
        return
    beside = Table(show_lines=False, expand=True)
    for cut in cuts:
        beside.add_column(Text(inert(cut.model)), ratio=1, overflow="fold")
    beside.add_row(*(_pieces(cut, coloured=coloured, with_ids=with_ids) for cut in cuts))
    console.print(beside)


def _pieces(cut: CutText, *, coloured: bool, with_ids: bool) -> Text:
    out = Text()
    for i, piece in enumerate(_shown(cut.pieces[:_SHOWN])):
        label = f"{piece}[{cut.ids[i]}]" if with_ids else piece
        if coloured:
            out.append(label, style=_STYLES[i % 2])
        else:
            out.append((_BORDER if i else "") + label)
        if piece.endswith("\u23ce"):
            out.append("\n")
    if len(cut.pieces) > _SHOWN:
        out.append(f"\n... {len(cut.pieces) - _SHOWN} more tokens")
    return out


def _shown(pieces: Sequence[bytes]) -> Iterator[str]:
    """Their texts; line breaks and tabs visible, parts of characters as bytes."""
    for piece in pieces:
        try:
            text = piece.decode()
        except UnicodeDecodeError:
            text = "".join(f"<{byte:02X}>" for byte in piece)
        yield inert(text.replace("\r", "\u240d").replace("\n", "\u23ce").replace("\t", "\u21e5"))


def tokens_object(cut: CutText) -> dict[str, Any]:
    """The same for programs."""
    return {
        "model": cut.model,
        "count": len(cut.ids),
        "characters": cut.characters,
        "bytes": cut.n_bytes,
        "tokens_per_character": cut.per_character,
        "tokens_per_byte": cut.per_byte,
        "tokens": [{"id": i, "text": piece.decode("utf-8", "replace")} for i, piece in zip(cut.ids, cut.pieces, strict=True)],
    }
