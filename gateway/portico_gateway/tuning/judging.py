"""`portico tune eval`: an adapter beside the base, or another one, on held-out rows: what it gained and what it forgot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from portico_engine.errors import EngineError
from portico_engine.tune.data.row_file import PairRow, read_rows
from portico_engine.tune.data.rows import Row
from portico_engine.tune.runs.evaluation import Comparison, Evaluator
from portico_engine.tune.runs.run_data import of_kind, run_rows

REPORT = "eval.json"
_KINDS = {"one": "one call", "several": "several calls", "none": "no tool fits", "all": "all"}

# What people say to a model that has no tools, and plain text, by which it is seen what an adapter forgot. Ours.
CONVERSATIONS = tuple(
    (
        "What is the capital of Norway?|Say hello to my grandmother.|Why is the sky blue?|Write one sentence about rain.|"
        "What does 'to postpone' mean?|Name three kinds of bread.|How many days has a week?|Give me a word that rhymes "
        "with 'light'.|Translate 'good night' into French.|What is a noun?|Who wrote Hamlet?|Tell me a short joke.|What "
        "is 7 times 8?|Explain what a river is.|What do bees make?|Suggest a name for a cat.|What colour do blue and "
        "yellow make?|Finish the sentence: Every morning I|What is the opposite of 'early'?|Why do people sleep?|What is "
        "ice made of?|Name a planet with rings.|How do I boil an egg?|Write a greeting for a birthday card.|What is a "
        "synonym of 'quick'?|What language is spoken in Brazil?|Describe an apple in one sentence.|What is a library "
        "for?|Which month comes after June?|What is a good way to learn a language?|Who was Marie Curie?|What is the "
        "largest ocean?|Give an example of a proverb.|What is photosynthesis?|Is a whale a fish?|How far away is the "
        "Moon?|What do I need for a picnic?|Write a two-line poem.|What is a triangle?|Why do leaves fall in autumn?|"
        "What does a baker do?|What is the past tense of 'go'?|Name two metals.|What is democracy?|How do plants drink?|"
        "What is a good breakfast?|Say something kind.|What is the use of a map?|Where does the sun rise?|What is an "
        "echo?"
    ).split("|")
)
TEXTS = (
    "A bridge carries a road or a railway across a river, a valley or another road. The oldest ones were fallen "
    "trees and flat stones. Arches came later: each stone of an arch leans on the next, so that the weight above "
    "presses them together and runs down into the ground at both ends. Steel made it possible to hang a road from "
    "cables, and today the longest bridges of all are hung in this way.",
    "Bread is made from flour, water, salt and something that makes it rise. Yeast feeds on the sugar in the dough "
    "and gives off a gas, which is caught in small bubbles. Kneading stretches the dough until it can hold them. In "
    "the oven the bubbles grow once more, the crust hardens, and the smell fills the house long before the loaf is "
    "done.",
    "When the harbour was built, the town had two hundred people and one street. Ships came for salt and stayed for "
    "the winter storms, and those who waited opened workshops. A century later there was a school, a theatre and a "
    "court. The salt is gone, but every spring the boats are painted white as before, and children still race them "
    "to the lighthouse.",
    "To sort a list means to bring its items into an order. One way is to look for the smallest item, put it in "
    "front, and do the same with the rest. That is easy to understand and slow for long lists, because the rest is "
    "looked at again and again. Another way cuts the list in two, sorts both halves, and merges them by always "
    "taking the smaller of their first items.",
)


def rows_to_ask(path: Path, *, everything: bool) -> list[Row]:
    """A file's held-out rows, on which no run trains, or all. Of pairs, the better answer is right. Raises BadRowFile."""
    rows = read_rows(path) if everything else run_rows(path, small=True, say=lambda line: None).held_out
    found = of_kind(rows, Row) + [
        Row(pair.prompt, pair.chosen, pair.origin, pair.licence, tools=pair.tools) for pair in of_kind(rows, PairRow)
    ]
    asked = list({(row.prompt[0]["content"], row.question): row for row in found if row.tools}.values())
    if not asked:
        raise EngineError(f"{path} holds no rows with tools and a right answer, so that there is nothing to ask")
    return asked


def compare(model: Path, device: str, rows: Sequence[Row], adapter: Path, before: Path | None, *, longest: int) -> Comparison:
    """Both on the rows, and without tools. Raises EngineError."""
    evaluator = Evaluator(model, device=device, texts=TEXTS, conversations=CONVERSATIONS, longest=longest)
    try:
        return evaluator.compare(rows, adapter, before)
    finally:
        evaluator.close()


def in_lines(found: Comparison, names: tuple[str, str]) -> list[str]:
    """A table for a terminal."""
    lines = [f"{'':16}{'questions':>10}{names[0]:>22}{names[1]:>22}"]
    for kind, after in found.after.items():
        cells = [f"{f.call:.1f}% ({f.low:.1f}-{f.high:.1f})" for f in (found.before[kind], after)]
        lines.append(f"{_KINDS[kind]:16}{after.tasks:>10}{cells[0]:>22}{cells[1]:>22}")
    one, other = found.capability
    lines.append(f"{'perplexity':16}{len(TEXTS):>10}{one.perplexity:>22.1f}{other.perplexity:>22.1f}")
    lines.append(f"{'conversations':16}{len(CONVERSATIONS):>10}{'':>22}{f'{one.same(other):.0%} begin alike':>22}")
    return lines


def write_report(folder: Path, found: Comparison, about: dict[str, Any]) -> Path:
    """Beside the adapter."""
    path = folder / REPORT
    path.write_text(json.dumps(about | found.as_json(), indent=1) + "\n", encoding="utf-8")
    return path
