"""How far off are the probabilities of typed decisions? Expected calibration error of the default model, on labelled texts.

    python benchmarks/decisions.py --data FOLDER [--fit 300] [--measure 400] [--model smollm2] [--executor auto]

FOLDER holds CLINC150 (`clinc150.json.xz`, CC BY 3.0) and Sonos' NLU benchmark (`sonos-intents.tar.xz`, CC0) as published. Asked
are a predicate ("The request is about X.", half of them true), a choice among 2 to 8 intents, and a score (how many points a
request gives). Scale and prior of each kind are fitted on the training parts; the figures come from the test parts: accuracy,
expected calibration error of the likeliest answer in 15 bins of equal width (Guo et al. 2017), negative log-likelihood, Brier
score; with what the product ships, with what was fitted here, and with neither.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import lzma
import math
import random
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from portico_engine import EngineClient, find_model
from portico_gateway.http.decisions.calibration import UNCALIBRATED, Calibration, calibration_of
from portico_gateway.http.decisions.decide import Decider, PriorCache
from portico_gateway.http.decisions.question import Kind, StateQuestion, choice, predicate, score
from portico_gateway.model.start import start_engine
from report import table, write

BINS = 15
NUMBERS = ["zero", "one", "two", "three", "four", "five", "six"]
SCALES = [0.02 * 1.18**step for step in range(32)]  # 0.02 to 3.4
PRIORS = [0.1 * step for step in range(13)]
KINDS: tuple[Kind, ...] = ("predicate", "choice", "score")


class Labelled(NamedTuple):
    """A question about a text, and the place of its right answer."""

    state: str
    question: StateQuestion
    right: int


class Judged(NamedTuple):
    """What the model says of one: log-probabilities behind the text and behind nothing."""

    behind_state: list[float]
    behind_nothing: list[float]
    right: int


def intents(data: Path, part: str, count: int, kind: Kind, chance: random.Random) -> Iterator[Labelled]:
    """Predicates or choices over CLINC150."""
    with lzma.open(data / "clinc150.json.xz") as file:
        rows: list[tuple[str, str]] = [(text, intent) for text, intent in json.load(file)[part]]
    names = sorted({intent for _, intent in rows})
    for text, intent in chance.sample(rows, count):
        others = chance.sample([name for name in names if name != intent], 7)
        if kind == "predicate":
            true = chance.random() < 0.5
            yield Labelled(text, predicate(f"The request is about {said(intent if true else others[0])}."), 0 if true else 1)
        else:
            offered = [intent, *others[: chance.randint(1, 7)]]
            chance.shuffle(offered)
            question = choice("What is this request about?", [said(name) for name in offered], [""] * len(offered))
            yield Labelled(text, question, offered.index(intent))


def ratings(data: Path, part: str, count: int, chance: random.Random) -> Iterator[Labelled]:
    """Scores over the requests that rate a book."""
    name = {"train": "train_RateBook_full.json", "test": "validate_RateBook.json"}[part]
    with tarfile.open(data / "sonos-intents.tar.xz") as archive:
        file = archive.extractfile(next(member for member in archive if member.name.endswith(f"RateBook/{name}")))
        assert file is not None
        rows = json.loads(file.read().decode("utf-8", "replace"))["RateBook"]
    found = [row for row in map(rating, rows) if row is not None]
    chance.shuffle(found)
    yield from found[:count]


def rating(row: Any) -> Labelled | None:
    """None where it says not how many of how many."""
    said_of = {part.get("entity"): part["text"].strip().lower() for part in row["data"]}
    value, best = (number(said_of.get(key, "")) for key in ("rating_value", "best_rating"))
    if value is None or best is None or not 2 <= best <= 6 or value > best:
        return None
    text = "".join(part["text"] for part in row["data"])
    return Labelled(
        text, score("How many points does the request give?", [f"{NUMBERS[n]} points" for n in range(best + 1)]), value
    )


def number(text: str) -> int | None:
    if text.isdigit() and int(text) < len(NUMBERS):
        return int(text)
    return NUMBERS.index(text) if text in NUMBERS else None


def said(intent: str) -> str:
    return intent.replace("_", " ")


def labelled(data: Path, part: str, count: int, kind: Kind) -> list[Labelled]:
    chance = random.Random(f"{part} {kind}")
    return list(ratings(data, part, count, chance) if kind == "score" else intents(data, part, count, kind, chance))


async def judged(engine: EngineClient, rows: Sequence[Labelled], priors: PriorCache) -> list[Judged]:
    found = []
    for row in rows:
        decider = Decider(engine, "local", priors, state="state", questions=["question"])
        _, (evidence,) = await decider.evidence(row.state, [row.question])
        found.append(Judged(evidence.behind_state, evidence.behind_nothing, row.right))
    return found


def fitted(rows: Sequence[Judged]) -> Calibration:
    """The scale and prior under which the right answers are likeliest."""
    every = [Calibration(scale, prior) for scale in SCALES for prior in PRIORS]
    return min(every, key=lambda each: loss(rows, each))


def loss(rows: Sequence[Judged], calibration: Calibration) -> float:
    return mean(rows, calibration, lambda p, right: -math.log(max(p[right], 1e-12)))


def mean(rows: Sequence[Judged], calibration: Calibration, of: Callable[[tuple[float, ...], int], float]) -> float:
    return sum(of(calibration.probabilities(row.behind_state, row.behind_nothing), row.right) for row in rows) / len(rows)


def calibration_error(rows: Sequence[Judged], calibration: Calibration) -> float:
    """The mean difference between how likely the likeliest answer is said to be and how often it is right, over bins."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for row in rows:
        p = calibration.probabilities(row.behind_state, row.behind_nothing)
        top = max(p)
        bins[min(BINS - 1, int(top * BINS))].append((top, p.index(top) == row.right))
    return sum(abs(sum(top for top, _ in each) - sum(hit for _, hit in each)) for each in bins) / len(rows)


def figures(rows: Sequence[Judged], calibration: Calibration) -> dict[str, float]:
    return {
        "accuracy": mean(rows, calibration, lambda p, right: float(p.index(max(p)) == right)),
        "calibration_error": calibration_error(rows, calibration),
        "nll": loss(rows, calibration),
        "brier": mean(rows, calibration, lambda p, right: sum((q - (at == right)) ** 2 for at, q in enumerate(p))),
        "scale": calibration.scale,
        "prior": calibration.prior,
    }


async def run(args: argparse.Namespace) -> None:
    engine = await start_engine(find_model(args.model), {"executor": args.executor})
    priors, found = PriorCache(), {}
    print(f"content digest {engine.info.content_digest}")
    shipped = calibration_of(engine.info.content_digest)
    lines = []
    for kind in KINDS:
        fit = await judged(engine, labelled(args.data, "train", args.fit, kind), priors)
        test = await judged(engine, labelled(args.data, "test", args.measure, kind), priors)
        ways = {"as it is": UNCALIBRATED[kind], "scale 1, no prior": Calibration(1.0, 0.0), "fitted here": fitted(fit)}
        if shipped is not None:
            ways["shipped"] = shipped[kind]
        found[kind] = {"fitted_on": len(fit), "measured_on": len(test)} | {
            way: figures(test, each) for way, each in ways.items()
        }
        for way in ways:
            of = found[kind][way]
            lines.append(
                [
                    kind,
                    way,
                    len(test),
                    *(f"{of[key]:.3f}" for key in ("accuracy", "calibration_error", "nll", "brier", "scale", "prior")),
                ]
            )
    await engine.aclose()
    table(["kind", "calibration", "n", "accuracy", "ECE", "NLL", "Brier", "scale", "prior"], lines)
    write(
        "decisions",
        {"model": args.model, "executor": engine.info.executor, "content_digest": engine.info.content_digest, "kinds": found},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fit", type=int, default=300)
    parser.add_argument("--measure", type=int, default=400)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--executor", default="auto")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
