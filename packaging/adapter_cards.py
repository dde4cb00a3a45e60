"""The data card and the model card of the default adapter, from what its making left behind.

usage: python packaging/adapter_cards.py --work DIR --trained DIR [--refined DIR] [--figures FILE] [--capability FILE]
                                         --out DIR

`--work` holds data.json, `--trained` training.json and adapter/, `--refined` refining.json and the adapter that comes of it;
`--figures` is a result of benchmarks/model_quality.py, `--capability` one of benchmarks/adapter_capability.py. Both cards say
only what those files say.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

SOURCES = {
    "our servers": (
        "questions of ours over our three servers, as `packaging/server_workspaces.py` starts them; some put first sentences "
        "of docstrings (of packages under BSD, MIT and Apache-2.0) as questions",
        "Apache-2.0",
    ),
    "portico": ("questions and tools of our own, in `engine/portico_engine/tune/data/own`", "Apache-2.0"),
    "Seal-Tools": ("Wu et al. 2024, Seal-Tools: its tools, and the questions of its dev and test parts", "Apache-2.0"),
    "MetaTool": ("Huang et al. 2024, MetaTool benchmark: which tool a question is for", "MIT"),
    "CLINC150": ("Larson et al. 2019: intents, and what is none of them", "CC-BY-3.0"),
    "NLU-Evaluation-Data": ("Liu et al. 2019: requests to a home assistant", "CC-BY-4.0"),
    "Sonos NLU benchmark": ("Coucke et al. 2018: requests with slots", "CC0-1.0"),
    "ToolRL (RLLA)": ("Qian et al. 2025: first turns with tools", "Apache-2.0"),
    "tools/list of MCP servers, LiveMCPBench": (
        "tool lists of real servers (Mo et al. 2025); the questions are ours",
        "MIT, Apache-2.0",
    ),
}
KINDS = ("one", "several", "none", "kept")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--trained", type=Path, required=True)
    parser.add_argument("--refined", type=Path)
    parser.add_argument("--figures", type=Path)
    parser.add_argument("--capability", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    data = json.loads((args.work / "data.json").read_text(encoding="utf-8"))
    training = json.loads((args.trained / "training.json").read_text(encoding="utf-8"))
    refining = json.loads((args.refined / "refining.json").read_text(encoding="utf-8")) if args.refined else None
    weights = (args.refined or args.trained) / "adapter" / "adapter_model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    figures = json.loads(args.figures.read_text(encoding="utf-8")) if args.figures else None
    forgotten = json.loads(args.capability.read_text(encoding="utf-8")) if args.capability else None
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "DATA_CARD.md").write_text(data_card(data), encoding="utf-8")
    (args.out / "MODEL_CARD.md").write_text(
        model_card(training, digest, figures, refining=refining, forgotten=forgotten), encoding="utf-8"
    )
    (args.out / "DIGEST").write_text(f"{digest}  adapter_model.safetensors\n", encoding="utf-8")


def data_card(data: dict[str, Any]) -> str:
    """Raises KeyError for rows of a source that isn't described here."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for name, count in data["by_origin"].items():
        origin, _, kind = name.rpartition(": ")
        counts[origin][kind] = count
    lines = [
        f"# The training rows of the default adapter: {data['rows']:,}", "",
        "A row is a prompt as `serve` (nine tenths) or `ask` gives it, and its answer: one call, several, or none.",
        "Kept rows have no answer to learn: there the base is followed.",
        "None is made of questions of BFCL or of this repository's benchmarks.", "",
        "| source | licence | " + " | ".join(KINDS) + " |", "|---|---|" + "---|" * len(KINDS),
    ]  # fmt: skip
    for origin, by_kind in sorted(counts.items(), key=lambda item: -sum(item[1].values())):
        about, licence = SOURCES[origin]
        cells = [f"{by_kind[kind]:,}" if kind in by_kind else "" for kind in KINDS]
        lines.append(f"| {origin}: {about} | {licence} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def model_card(
    training: dict[str, Any],
    digest: str,
    figures: dict[str, Any] | None,
    *,
    refining: dict[str, Any] | None = None,
    forgotten: dict[str, Any] | None = None,
) -> str:
    """Figures come with their 95% intervals."""
    settings, history = training["settings"], training["history"]
    before, after = training["held_out_loss"]
    lines = [
        "# The default adapter", "",
        f"LoRA of rank {settings['rank']} (alpha {settings['alpha']:g}) on every linear layer of SmolLM2-135M-Instruct;",
        f"sha256 `{digest}`.",
        "It writes tool calls, or says that no tool fits. Prompts: " + f"version {training['prompt_version']}.", "",
        f"Made by `{training['command']}` on {training['device']}, torch {training['torch']}: {training['rows']:,} rows,",
        f"{history['steps']:,} steps, {history['tokens']:,} tokens in {history['seconds']:.0f} s; seed {settings['seed']}, "
        f"learning rate {settings['learning_rate']:g}.",
        f"Loss on held-out rows: {before:.3f} before, {after:.4f} after.",
    ]  # fmt: skip
    if "kept" in training:
        kept = training["kept"]
        lines.append(
            f"Where it shall say what its base says: the same top token at {kept['same_top_token']:.1%} of the positions, "
            f"{kept['kl']:.3f} nats apart."
        )
    if refining:
        lines += [
            "", f"Then by `{refining['command']}` on {refining['device']}, torch {refining['torch']}: of its own answers to "
            f"questions over tool lists {refining['kept']:,} were right and {refining['put_right']:,} put right;",
            f"{refining['rows']:,} rows of them, {refining['steps']:,} steps in {refining['seconds']} s, learning rate "
            f"{refining['settings']['learning_rate']:g}.",
        ]  # fmt: skip
    if forgotten:
        before, after = forgotten["perplexity"]
        lines += [
            "", f"`{forgotten['command']}`: perplexity of plain text {before:g} without it and {after:g} with it (at most "
            f"{forgotten['most_ratio']:g} times);",
            f"of {forgotten['conversations']} ordinary turns {forgotten['begin_alike']:g}% ({forgotten['interval']}) are "
            f"answered with the same first words (at least {forgotten['least_alike']:g}%).",
        ]  # fmt: skip
    if figures:
        lines += ["", f"`{figures['command']}`:", "", "| | section | questions | call right | 95% |", "|---|---|---|---|---|"]
        for name, sections in figures["figures"].items():
            lines += [f"| {name} | {s} | {f['questions']} | {f['call']}% | {f['interval']} |" for s, f in sections.items()]
        for name, sections in figures.get("over_seeds", {}).items():
            seeds = ", ".join(map(str, next(iter(sections.values()))["seeds"]))
            lines += [
                "", f"{name}, the same recipe with the seeds {seeds}; `answerable` is the right tool here:", "",
                "| section | mean | 95% over seeds | each |", "|---|---|---|---|",
            ]  # fmt: skip
            lines += [
                f"| {s} | {f['mean']}% | {f['interval']} | {', '.join(map(str, f['percent']))} |" for s, f in sections.items()
            ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
