"""Draws what `kv_traces.py` measured: docs/kv-cache.svg and docs/kv-cache.md. It measures nothing.

python benchmarks/kv_traces_plot.py     (from the newest recorded result)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from report import RESULTS

DOCS = Path(__file__).parents[1] / "docs"
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 440, 340, 58, 84, 46  # of a panel
COLORS = {"LRU": "#c2571a", "cost-aware": "#2563a8", "Belady": "#777777"}
ABOUT = """\
Keys and values are kept in blocks of 16 tokens. These figures come from the real scheduler, block pool and prefix index,
replaying traces of this repository's own text with answers written beforehand and a clock that steps move: they are the same on
every machine.
"""


def plot(evicted: Mapping[str, Any]) -> str:
    """A panel a trace, SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * len(evicted)} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH * len(evicted)}" height="{HEIGHT}" fill="white"/>',
    ]
    for i, (name, one) in enumerate(evicted.items()):
        parts += [f'<g transform="translate({WIDTH * i} 0)">', *_panel(name, one), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(name: str, one: Mapping[str, Any]) -> list[str]:
    levels = one["levels"]

    def x_of(share: float) -> float:
        return LEFT + 8 + share * (WIDTH - LEFT - 30)

    def y_of(found: float) -> float:
        return TOP + (1 - found) * (HEIGHT - BOTTOM - TOP)

    parts = [f'<text x="{LEFT}" y="18" font-weight="bold">{escape(name)}</text>']
    for tenth in range(0, 11, 2):
        y = y_of(tenth / 10)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 14}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10 * tenth}%</text>')
        parts.append(f'<text x="{x_of(tenth / 10):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{10 * tenth}%</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    size = f"blocks, of the {one['blocks']:,} that a pool without evictions comes to hold"
    parts.append(f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{size}</text>')
    parts.append(f'<text x="16" y="{middle}" transform="rotate(-90 16 {middle})" text-anchor="middle">prompt found</text>')
    y = y_of(one["unlimited"])
    parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 14}" y1="{y:.1f}" y2="{y:.1f}" stroke="#333" stroke-dasharray="2 3"/>')
    parts.append(f'<text x="{WIDTH - 16}" y="{y - 5:.1f}" text-anchor="end" fill="#333">nothing evicted</text>')
    for at, (policy, color) in enumerate(COLORS.items()):
        points = [(x_of(level["share"]), y_of(level[policy]["found"])) for level in levels]
        parts += _line(policy, color, 36 + 15 * at, points)
    return parts


def _line(name: str, color: str, legend_y: int, points: Sequence[tuple[float, float]]) -> list[str]:
    style = f'stroke="{color}" stroke-width="2"'
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return [
        f'<line x1="{LEFT}" x2="{LEFT + 22}" y1="{legend_y - 4}" y2="{legend_y - 4}" {style}/>',
        f'<text x="{LEFT + 28}" y="{legend_y}" fill="#333">{escape(name)}</text>',
        f'<polyline points="{path}" fill="none" {style}/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in points),
    ]


def page(figures: Mapping[str, Any]) -> str:
    """docs/kv-cache.md."""
    waste, evicted = figures["waste"], figures["eviction"]
    lines = [
        "# The KV cache: what it wastes, finds again and lets go",
        "",
        "Written by `python benchmarks/kv_traces.py`; the figures are in `benchmarks/results/`.",
        "",
        ABOUT,
        "## Waste",
        "",
        f"64 sequences of 50 to 4,000 tokens (lognormal, {waste['mean_tokens']:.0f} on average) that grow token by token leave "
        f"{waste['paged']:.2%} of the positions in their blocks empty. An allocation of 4,000 positions for each leaves "
        f"{waste['contiguous']:.1%} empty: where that takes a GiB, blocks take {waste['paged_mib_of_contiguous_gib']:.0f} MiB.",
        "",
        "## Found again",
        "",
        "Nothing is evicted here. The radix tree is unlimited, and knows every token that was computed before a request began.",
        "",
        "| trace | requests | prompt tokens | found | a radix tree finds | of that |",
        "|---|---|---|---|---|---|",
        *(
            f"| {one['trace']} | {one['requests']} | {one['prompt_tokens']:,} | {one['found']:,} | {one['radix']:,} | "
            f"{one['share']:.2%} |"
            for one in figures["reuse"]
        ),
        "",
        "## Let go of",
        "",
        "How much of all prompts is found where the pool holds only a share of what was ever computed. Belady's policy knows "
        "the future: nothing that doesn't can be expected to do better. `cost-aware` is what runs, with the gateway's pins.",
        "",
        "![Share of prompts found, by size of the pool](kv-cache.svg)",
        "",
    ]
    for name, one in evicted.items():
        lines += [
            f"### {name[0].upper()}{name[1:]}",
            "",
            f"| blocks | of {one['blocks']:,} | LRU | cost-aware | Belady |",
            "|---|---|---|---|---|",
            *(
                f"| {level['blocks']:,} | {level['share']:.0%} | "
                + " | ".join(f"{level[policy]['found']:.1%}" for policy in COLORS)
                + " |"
                for level in one["levels"]
            ),
            "",
        ]
    return "\n".join(lines)


def draw(figures: Mapping[str, Any]) -> None:
    """Write both files."""
    for name, text in {"kv-cache.svg": plot(figures["eviction"]), "kv-cache.md": page(figures)}.items():
        (DOCS / name).write_text(text, encoding="utf-8")
        print(f"written: docs/{name}")


def main() -> None:
    """From the newest recorded result."""
    draw(json.loads(max(RESULTS.glob("kv_traces-????-??-??.json")).read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
