"""Draws constrained tool calls a second against clients, ours and the peers', from recorded results: it measures nothing.

    python benchmarks/throughput_plot.py

Reads the newest results of `peers_cpu.py` (all servers in one run) and of `concurrent_tool_calls.py` on an H200, and
data/recorded_peers.json; writes docs/throughput.svg and docs/throughput.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from report import RESULTS

ROOT = Path(__file__).parents[1]
PEERS = Path(__file__).parent / "data" / "recorded_peers.json"
GPU = "H200"
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 370, 400, 58, 92, 46  # of a panel
COLORS = {"Portico": "#2563a8", "vLLM": "#c2571a", "llama.cpp": "#2e7d32", "llama-cpp-python": "#7b3f98"}
NAMES = {  # of peers_cpu's servers
    "portico": ("Portico, by tools", "Portico"),
    "portico, schema": ("Portico, by a schema", "Portico"),
    "llama-server": ("llama.cpp's server", "llama.cpp"),
    "llama_cpp.server": ("llama-cpp-python's server", "llama-cpp-python"),
}
ABOUT = """\
Every client asks one question after the other over HTTP, with the same instructions and twelve tools before it, and each answer
must be one call. It is valid if it names a tool and its arguments fit that tool's schema. Portico is asked by `tools` with
`tool_choice: required`. Under that llama.cpp's servers answer with prose where the model's template knows no tools, as
SmolLM2's: they are asked by a JSON Schema of all twelve calls, with the tools written into the instructions. Portico writes
tools into a prompt shorter than that; a dashed line, where there is one, is Portico asked as they are, with the same prompt.
"""


class Series(NamedTuple):
    """One server's line. Levels have `clients`, and `calls_per_s`, `p50_ms`, `p95_ms`, `calls`, `valid` as far as recorded."""

    name: str
    color: str
    dashed: bool
    levels: Sequence[dict[str, Any]]


class Panel(NamedTuple):
    """Servers on one machine with one model."""

    title: str
    note: str
    series: Sequence[Series]


def newest(name: str, device: str = "") -> dict[str, Any]:
    """The last recorded result of this name, on such a device if that matters."""
    for path in sorted(RESULTS.glob(f"{name}-????-??-??.json"), reverse=True):
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if device in found.get("device", ""):
            return found
    raise SystemExit(f"no {name}-DATE.json is recorded in benchmarks/results{f' of an {device}' if device else ''}")


def rate(level: dict[str, Any]) -> float:
    """Calls a second; one client's is one by its median where nothing else is recorded."""
    if "calls_per_s" in level:
        return float(level["calls_per_s"])
    assert level["clients"] == 1
    return 1000 / float(level["p50_ms"])


def panels() -> list[Panel]:
    """The CPU's, and the GPU's for each model."""
    cpu, recorded = newest("peers_cpu"), json.loads(PEERS.read_text(encoding="utf-8"))
    lines = [
        Series(NAMES[name][0], COLORS[NAMES[name][1]], name == "portico, schema", server["levels"])
        for name, server in cpu["servers"].items()
    ]
    machine = cpu["machine"]
    found = [
        Panel(
            f"{machine['cores']} CPU cores, SmolLM2-135M Q4_1",
            f"{cpu['date']}, {machine['cpu']}, all servers in one run of `benchmarks/peers_cpu.py`, {cpu['slots']} slots for "
            f"llama.cpp's, threads of each peer: {cpu['threads']}. The load average before it was "
            f"{cpu['load_average_before']:.1f}; above 1 the machine was busy with other work, and "
            "the ratios are no more than a hint.",
            lines,
        )
    ]
    program = "benchmarks/concurrent_tool_calls.py"
    for result, command, model, ours in (
        ("concurrent_tool_calls", program, "SmolLM2-135M", "Portico, Q4_1"),
        ("concurrent_tool_calls_8b", f"{program} --shape 8b", "Llama-3.1-8B's shape, random weights", "Portico, Q4_K_M"),
    ):
        mine = newest(result, GPU)
        guided = " without guidance" if mine["guidance"] == "off" else ""
        found.append(
            Panel(
                f"one H200, {model}",
                f"Portico{guided}: {mine['date']}, `{command}`. The peers: {recorded['date']}, {recorded['load']}; "
                f"{recorded['source']}.",
                [
                    Series(ours, COLORS["Portico"], False, mine["levels"]),
                    *(
                        Series(server["name"], COLORS[server["short"]], False, server["levels"])
                        for server in recorded["servers"]
                        if server["model"] == model
                    ),
                ],
            )
        )
    return found


def plot(drawn: Sequence[Panel]) -> str:
    """Panels side by side, both axes logarithmic, SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * len(drawn)} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH * len(drawn)}" height="{HEIGHT}" fill="white"/>',
    ]
    for i, panel in enumerate(drawn):
        parts += [f'<g transform="translate({WIDTH * i} 0)">', *_panel(panel), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel) -> list[str]:
    levels = [level for series in panel.series for level in series.levels]
    most = max(math.ceil(math.log(max(level["clients"] for level in levels), 4)), 1)
    low = math.floor(math.log10(min(map(rate, levels))))
    high = math.ceil(math.log10(max(map(rate, levels))))

    def x_of(clients: float) -> float:
        return LEFT + 12 + math.log(clients, 4) / most * (WIDTH - LEFT - 36)

    def y_of(value: float) -> float:
        return TOP + (high - math.log10(value)) / (high - low) * (HEIGHT - BOTTOM - TOP)

    parts = [f'<text x="{LEFT}" y="20" font-weight="bold">{escape(panel.title)}</text>']
    for exponent in range(low, high + 1):
        y = y_of(10.0**exponent)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 14}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**exponent:g}</text>')
    for power in range(most + 1):
        parts.append(f'<text x="{x_of(4**power):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{4**power}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 8}" text-anchor="middle">clients</text>')
    parts.append(f'<text x="16" y="{middle}" transform="rotate(-90 16 {middle})" text-anchor="middle">calls/s</text>')
    for at, series in enumerate(panel.series):
        parts += _series(series, 38 + 15 * at, [(x_of(level["clients"]), y_of(rate(level))) for level in series.levels])
    return parts


def _series(series: Series, legend_y: int, points: Sequence[tuple[float, float]]) -> list[str]:
    style = f'stroke="{series.color}" stroke-width="2"' + (' stroke-dasharray="5 4"' if series.dashed else "")
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return [
        f'<line x1="{LEFT}" x2="{LEFT + 22}" y1="{legend_y - 4}" y2="{legend_y - 4}" {style}/>',
        f'<text x="{LEFT + 28}" y="{legend_y}" fill="#333">{escape(series.name)}</text>',
        f'<polyline points="{path}" fill="none" {style}/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{series.color}"/>' for x, y in points),
    ]


def page(drawn: Sequence[Panel]) -> str:
    """docs/throughput.md."""
    lines = [
        "# Throughput",
        "",
        "Written by `python benchmarks/throughput_plot.py` from recorded results; the figures are in `benchmarks/results/`.",
        "",
        ABOUT,
        "![Calls a second against clients](throughput.svg)",
        "",
    ]
    for panel in drawn:
        lines += [
            f"## {panel.title[0].upper()}{panel.title[1:]}",
            "",
            panel.note,
            "",
            "| server | clients | calls/s | p50, ms | p95, ms | valid |",
            "|---|---|---|---|---|---|",
            *(_row(series, level) for series in panel.series for level in series.levels),
            "",
        ]
    lines += ["With one client calls/s is one by the median where nothing else was recorded. LM Studio was not measured.", ""]
    return "\n".join(lines)


def _row(series: Series, level: dict[str, Any]) -> str:
    valid = f"{level['valid']} of {level['calls']}" if "valid" in level else ""
    cells = [series.name, level["clients"], f"{rate(level):.3g}", *(_ms(level.get(key)) for key in ("p50_ms", "p95_ms")), valid]
    return "| " + " | ".join(map(str, cells)) + " |"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def main() -> None:
    """Draw and write."""
    drawn = panels()
    for name, text in {"throughput.svg": plot(drawn), "throughput.md": page(drawn)}.items():
        (ROOT / "docs" / name).write_text(text, encoding="utf-8")
        print(f"written: docs/{name}")


if __name__ == "__main__":
    main()
