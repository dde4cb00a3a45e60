"""The questions of answers.py: how they are kept, how a third of them is held back, and when an answer holds what was asked.

A question's id is the digest of its workspace and its words, and its id decides, within its area and kind, whether it is held
back: nobody can choose. The held-back third lies zipped in data/answers/held_back.zip, and DIGESTS says what it was when it was
put there. Nobody reads it while tuning.

What was tuned on those questions was seen to know their voices, so others asked more about the same material:
data/answers/voices holds three fifths of them for tuning, and validation.zip the rest, which says how general a gain is.

Databases did worse held back than tuned, so data/answers/breadth asks for more kinds of things, of databases and servers unlike
those; one half is for tuning, the other, breadth_closed.zip, is scored at the end.

Questions without an answer were few, so data/answers/absence has a hundred of all workspaces, and nearly as many that have one,
which shall not be refused for it; halved in the same way.

data/answers/near asks for more that is nearly there: another program's setting, a function that a similar library has, a
neighbour's value, what nobody can know; and other things of the third-party servers. All of it is for tuning.

data/answers/packages asks about the code of four packages that no other part knows. All of it is for tuning, too.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data" / "answers"
AREAS = ("code", "docs", "db", "third_party")
KINDS = ("single", "two_calls", "none", "other_language")
HELD_BACK = "held_back.jsonl"
VALIDATION = "validation.jsonl"
BREADTH_CLOSED = "breadth_closed.jsonl"
ABSENCE_CLOSED = "absence_closed.jsonl"
VOICES, BREADTH, ABSENCE, NEAR, PACKAGES = (DATA / name for name in ("voices", "breadth", "absence", "near", "packages"))
READABLE = ("tuning", "voices", "breadth", "absence", "near", "packages")  # of the others figures alone are shown
# Closed part -> its folder, and the file in its archive.
CLOSED = {
    "held-back": (DATA, HELD_BACK),
    "validation": (VOICES, VALIDATION),
    "breadth-closed": (BREADTH, BREADTH_CLOSED),
    "absence-closed": (ABSENCE, ABSENCE_CLOSED),
}
PARTS = (*READABLE, *CLOSED)
Question = dict[str, Any]

MANY_NUMBERS = 8  # other numbers beside the one that was asked for
MANY_LINES = 12  # other lines
TABLE_HEAD = 2  # lines of a table before its first row; a table of more rows than values holds the value by chance, too
_WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()
_PLACE = re.compile(r"[\w./-]*\w\.\w{1,5}:\d+(?:-\d+)?")  # file.py:12
_NUMBER = re.compile(r"(?<![\w.\-/])-?\d[\d,_]*(?:\.\d+)?(?![\w-]|[.:/]\d)")
_NUMERIC = re.compile(r"-?\d+(?:\.\d+)?")


def question_id(workspace: str, question: str) -> str:
    return hashlib.sha256(f"{workspace}\n{question}".encode()).hexdigest()[:12]


def split(questions: Iterable[Question]) -> tuple[list[Question], list[Question]]:
    """The tuning two thirds, and the third that is held back: of each area and kind the first third by digest of the id."""
    strata: defaultdict[tuple[str, str], list[Question]] = defaultdict(list)
    for question in questions:
        strata[question["area"], question["kind"]].append(question)
    held = set()
    for items in strata.values():
        ordered = sorted(items, key=lambda item: hashlib.sha256(item["id"].encode()).hexdigest())
        held |= {item["id"] for item in ordered[: round(len(items) / 3)]}
    every = [item for items in strata.values() for item in items]
    return [q for q in every if q["id"] not in held], [q for q in every if q["id"] in held]


def split_voices(questions: Iterable[Question]) -> tuple[list[Question], list[Question]]:
    """The readable three fifths of the later questions, and the rest, which validate."""
    closed = lambda item: int(hashlib.sha256(f"voices {item['id']}".encode()).hexdigest(), 16) % 5 < 2  # noqa: E731
    every = list(questions)
    return [q for q in every if not closed(q)], [q for q in every if closed(q)]


def split_breadth(questions: Iterable[Question]) -> tuple[list[Question], list[Question]]:
    """The readable half, and the other one."""
    return _halves("breadth", questions)


def split_absence(questions: Iterable[Question]) -> tuple[list[Question], list[Question]]:
    """The same of the questions about what is not there."""
    return _halves("absence", questions)


def _halves(name: str, questions: Iterable[Question]) -> tuple[list[Question], list[Question]]:
    """Of each workspace and kind, every second by digest of the name and the id."""
    strata: defaultdict[tuple[str, str], list[Question]] = defaultdict(list)
    for question in questions:
        strata[question["workspace"], question["kind"]].append(question)
    parts: tuple[list[Question], list[Question]] = ([], [])
    for _, items in sorted(strata.items()):
        ordered = sorted(items, key=lambda item: hashlib.sha256(f"{name} {item['id']}".encode()).hexdigest())
        for number, item in enumerate(ordered, len(parts[0]) - len(parts[1])):
            parts[number % 2].append(item)
    return parts


# Readable part, the closed one beside it, and how they were told apart.
SPLITS = (
    ("tuning", "held-back", split),
    ("voices", "validation", split_voices),
    ("breadth", "breadth-closed", split_breadth),
    ("absence", "absence-closed", split_absence),
)


def part(name: str) -> list[Question]:
    """The questions of one of PARTS. Raises SystemExit where closed ones are not what they were."""
    if name in CLOSED:
        folder, content = CLOSED[name]
        return _closed(folder / content.replace(".jsonl", ".zip"), content, folder / "DIGESTS")
    folder = {"voices": VOICES, "breadth": BREADTH, "absence": ABSENCE, "near": NEAR, "packages": PACKAGES}.get(name, DATA)
    return [json.loads(line) for area in AREAS for line in (folder / f"{area}.jsonl").read_text(encoding="utf-8").splitlines()]


def _closed(archive: Path, name: str, digests: Path) -> list[Question]:
    with zipfile.ZipFile(archive) as packed:
        content = packed.read(name)
    if hashlib.sha256(content).hexdigest() != _digests(digests)[name]:
        raise SystemExit(f"{name} is not what was committed before tuning")
    return [json.loads(line) for line in content.decode().splitlines()]


def _digests(file: Path) -> dict[str, str]:
    """File -> its digest."""
    return dict(reversed(line.split("  ")) for line in file.read_text().splitlines() if line and line[0] != "#")


def write(questions: Sequence[Question]) -> None:
    """Write what lies in data/answers itself anew: the tuning files, the zip, the digests."""
    _write(DATA, *split(questions), HELD_BACK)


def write_voices(questions: Sequence[Question]) -> None:
    """The same of data/answers/voices."""
    _write(VOICES, *split_voices(questions), VALIDATION)


def write_breadth(questions: Sequence[Question]) -> None:
    """The same of data/answers/breadth."""
    _write(BREADTH, *split_breadth(questions), BREADTH_CLOSED)


def write_absence(questions: Sequence[Question]) -> None:
    """The same of data/answers/absence."""
    _write(ABSENCE, *split_absence(questions), ABSENCE_CLOSED)


def _write(folder: Path, readable: Sequence[Question], closed: Sequence[Question], closed_name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = lambda items: "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)  # noqa: E731
    files = {f"{area}.jsonl": text([q for q in readable if q["area"] == area]) for area in AREAS}
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    archive = closed_name.replace(".jsonl", ".zip")
    with zipfile.ZipFile(folder / archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(zipfile.ZipInfo(closed_name, (2026, 1, 1, 0, 0, 0)), text(closed), zipfile.ZIP_DEFLATED)
    lines = [
        f"# sha256 of the questions, written before anybody tuned on them. {closed_name} lies in {archive}: nobody reads",
        f"# it while tuning; `python benchmarks/answers.py --part {closed_name.partition('.')[0].replace('_', '-')}` scores it,"
        " and prints no question of it.",
    ]
    lines += [f"{hashlib.sha256(c.encode()).hexdigest()}  {n}" for n, c in {**files, closed_name: text(closed)}.items()]
    (folder / "DIGESTS").write_text("\n".join(lines) + "\n")


def digests_hold() -> bool:
    """Are the readable files what DIGESTS says?"""
    closed = {name for _, name in CLOSED.values()}
    return all(
        hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        for folder in dict.fromkeys(folder for folder, _ in CLOSED.values())
        for name, digest in _digests(folder / "DIGESTS").items()
        if name not in closed
    )


def holds(value: str, text: str) -> bool:
    """Is `value` in `text`? "/.../" is a regular expression, a number counts whatever way it is written, else the words do."""
    if value.startswith("/") and value.endswith("/") and len(value) > 2:
        return re.search(value[1:-1], text, re.IGNORECASE | re.DOTALL) is not None
    if _NUMERIC.fullmatch(value):
        digits = len(value.partition(".")[2])
        return any(abs(number - float(value)) <= (0.5 * 10**-digits if digits else 0) + 1e-9 for number in numbers(text))
    wanted = re.escape(plain(value))
    start, end = r"(?<!\w)" if value[0].isalnum() else "", r"(?!\w|-\d)" if value[-1].isalnum() else ""
    return re.search(start + wanted + end, plain(text)) is not None


def held(question: Question, text: str) -> list[bool]:
    """Of each value that the answer must hold: does `text`, in one of its forms?"""
    return [any(holds(value, text) for value in forms) for forms in question["answers"]["all_of"]]


def numbers(text: str) -> set[float]:
    """The numbers in `text`, words up to twelve too; line numbers of places are none."""
    text = _PLACE.sub(" ", text)
    found = {float(re.sub("[,_]", "", item)) for item in _NUMBER.findall(text)}
    return found | {float(i) for i, word in enumerate(_WORDS) if re.search(rf"(?<!\w){word}(?!\w)", text, re.IGNORECASE)}


def plain(text: str) -> str:
    return " ".join(re.sub(r"[`*]", "", text).lower().split())


def crowded(question: Question, text: str) -> bool:
    """Is the value one among many others, so that a reader can't tell which is meant?"""
    groups = question["answers"]["all_of"]
    if sum(line.startswith("|") for line in text.splitlines()) - TABLE_HEAD > len(groups):
        return True
    if sum(bool(line.strip()) for line in text.splitlines()) > MANY_LINES + len(groups):
        return True
    values = [value for forms in groups for value in forms if _NUMERIC.fullmatch(value)]
    if any(not any(_NUMERIC.fullmatch(value) for value in forms) for forms in groups):
        return False
    others = numbers(text) - numbers(question["question"]) - {float(value) for value in values}
    return len(others) > MANY_NUMBERS
