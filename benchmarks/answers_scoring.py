"""What became of a question: useful, partial, honest, wrong, unclear or failed; and tables over many. It asks nothing.

The final answer counts, what `portico ask` prints before its sources and figures, and its exit code:
- useful: exit 0, and the answer holds every value that was asked for, not among many others (answers_questions.crowded)
- partial: exit 0, and the answer holds half or more of several values, or all of them among many others; or not the answer but
  the evidence holds them: a result that was shown, not crowded either, or a source within `NEAR` lines of the place. Or exit 1
  with every value.
- honest: exit 1, and no answer, or one that says so
- wrong: exit 0 otherwise. For a question that has no answer there, every exit 0 is wrong.
- unclear: exit 1 with an answer that neither is right nor says that it is none
- failed: the command ended with an error
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from answers_questions import AREAS, KINDS, Question, crowded, held

OUTCOMES = ("useful", "partial", "honest", "wrong", "unclear", "failed")
NEAR = 10  # lines
_SAYS_NO = re.compile(
    r"\b(no answer|not found|nothing (was )?found|don't know|do not know|can't say|cannot say|denied)\b", re.IGNORECASE
)
_LABEL = re.compile(r"(?P<path>[^:#]+)(?::(?P<line>\d+))?")


def outcome(question: Question, result: Mapping[str, Any]) -> str:
    """`result` is what `--json` prints, with `exit_code`."""
    if result["exit_code"] not in (0, 1):
        return "failed"
    answer = result["answer"]
    if question["kind"] == "none":
        return "wrong" if result["exit_code"] == 0 else "honest" if says_no(answer) else "unclear"
    there = held(question, answer)
    if result["exit_code"] == 1:
        return "partial" if all(there) else "honest" if says_no(answer) else "unclear"
    if all(there):
        return "partial" if crowded(question, answer) else "useful"
    return "partial" if 2 * sum(there) >= len(there) > 1 or evidence_shown(question, result) else "wrong"


def says_no(answer: str) -> bool:
    return not answer.strip() or _SAYS_NO.search(answer) is not None


def evidence_shown(question: Question, result: Mapping[str, Any]) -> bool:
    """Do the results or the sources hold what the answer doesn't?"""
    texts = [call["text"] for call in result["calls"]]
    if any(all(held(question, text)) and not crowded(question, text) for text in texts):
        return True
    for item in question["evidence"]:
        for source in result["sources"] if "file" in item else ():
            label = _LABEL.match(source["label"])
            if label and label["line"] and item["file"].endswith(label["path"].strip()):
                first, last = item["lines"]
                if first - NEAR <= int(label["line"]) <= last + NEAR:
                    return True
    return False


def wilson(count: int, of: int) -> tuple[float, float]:
    """The 95% interval of a share."""
    if not of:
        return 0.0, 1.0
    z, share = 1.959964, count / of
    middle = share + z * z / (2 * of)
    spread = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, (middle - spread) / (1 + z * z / of)), min(1.0, (middle + spread) / (1 + z * z / of))


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts of the outcomes with intervals: by area and by kind (questions without answer apart), and those without answer."""
    answered = [row for row in rows if row["kind"] != "none"]
    groups = {area: [row for row in answered if row["area"] == area] for area in AREAS}
    groups |= {kind: [row for row in answered if row["kind"] == kind] for kind in KINDS if kind != "none"}
    groups |= {"all": answered, "no answer there": [row for row in rows if row["kind"] == "none"], "every question": list(rows)}
    return {name: counts(items) for name, items in groups.items() if items}


def counts(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found = Counter(row["outcome"] for row in rows)
    shares = {
        name: {
            "count": found[name],
            "share": round(found[name] / len(rows), 3),
            "interval": [round(x, 3) for x in wilson(found[name], len(rows))],
        }
        for name in OUTCOMES
    }
    return {"questions": len(rows), **shares}


def table_rows(figures: Mapping[str, Any]) -> list[list[str]]:
    """A line a group, for report.table."""
    lines = []
    for name, group in figures.items():
        cells = [
            f"{group[o]['count']} ({group[o]['share']:.0%}, {group[o]['interval'][0]:.0%}-{group[o]['interval'][1]:.0%})"
            for o in OUTCOMES[:4]
        ]
        lines.append([name, str(group["questions"]), *cells, *(str(group[o]["count"]) for o in OUTCOMES[4:])])
    return lines


# (values, kind, exit code, answer, what shall come of it): the definitions above, held by --check.
EXAMPLES: tuple[tuple[list[list[str]], str, int, str, str], ...] = (
    ([["223"]], "single", 0, "films where rating = PG-13: 223", "useful"),
    ([["1000"]], "single", 0, "1,000 form parts", "useful"),
    ([["2656.63"]], "single", 0, "total = 2656.630000001", "useful"),
    ([["3"]], "single", 0, "three eggs", "useful"),
    ([["3"]], "single", 0, "see cooking.md:3", "wrong"),
    ([["4"]], "single", 0, "1 2 3 4 5 6 7 8 9 10", "partial"),
    ([["Oslo"]], "single", 0, "towns where id = 3:\n| id | name |\n|---|---|\n| 3 | Oslo |", "useful"),
    ([["Oslo"]], "single", 0, "towns:\n| id | name |\n|---|---|\n| 3 | Oslo |\n| 4 | Rome |", "partial"),
    ([["Lax"], ["Strict"]], "single", 0, "It can be `Lax`.", "partial"),
    ([["30"]], "single", 0, "There are 300.", "wrong"),
    ([["PG"]], "single", 0, "rated PG-13", "wrong"),
    ([["30"]], "single", 1, "", "honest"),
    ([["30"]], "single", 1, "It is 31.", "unclear"),
    ([], "none", 1, "no answer; these places are the nearest", "honest"),
    ([], "none", 0, "It is called yaml_writer.", "wrong"),
    ([], "none", 3, "", "failed"),
)


def example_problems() -> list[str]:
    found = []
    for values, kind, code, answer, expected in EXAMPLES:
        question = {"kind": kind, "question": "", "answers": {"all_of": values}, "evidence": []}
        got = outcome(question, {"answer": answer, "exit_code": code, "calls": [], "sources": []})
        if got != expected:
            found.append(f"{answer!r} is {got}, and should be {expected}")
    return found
