"""What the searches that were made tell of an answer: the words that they know, and what another search found instead.

A search may say of its query's words how many pieces of what it searched hold each (`words`). It knows no server by name, and
weighs nothing: `confidence.py` does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence

from portico_gateway.agent.events import ToolCallFinished
from portico_gateway.agent.guided.answers.answer_generation import QuotedAnswer
from portico_gateway.agent.guided.extraction.candidate import is_source
from portico_gateway.agent.guided.judging.coverage import passed, scene_words, units, without_denials
from portico_gateway.agent.guided.questions.answer_type import asks_for_one, lacks_number
from portico_gateway.agent.judgement import Coverage
from portico_gateway.guidance.question import Question
from portico_gateway.guidance.stemming import spaced, stems_of
from portico_gateway.guidance.tool_retrieval import WordInformation, uninformed

WITHOUT_A_SUBJECT = 15.0  # a word that says less may be anybody's way to put a question: "grab", "carries", "on a ticket"
OF_A_WORD = 10.0  # what a word says of which nothing is known
OF_A_NAME = 20.0  # what a name, a number or a quotation says, which has no embedding of its own
OF_A_SCENE = 0.5  # (factor) on what a plain word says that stands outside the sentence which asks
OF_OWN_NAME = 0.3  # (factor) on what the workspace's own name says
MOST_WORDS = 12  # of a question that make an answer surer: a long one is no surer for being long
UNINFORMED = {
    "informed": 0.0,
    "uninformed": 0.0,
    "words": 0.0,
    "one_open": 0.0,
    "name_open": 0.0,
    "lacks_number": 0.0,
}  # `of_information` of what no search has found
_VERSION = re.compile(r"[-_ ]v?\d[\w.]*$")
_PLACE = ("path", "symbol", "title", "title_trail", "anchor")
_NAME = re.compile(r"[A-Za-z_][\w.]*\w")
_AS_CODE = re.compile(r"\w_\w|[a-z\d][A-Z]|\w\.\w|[A-Z]{2,}\w*[a-z]|[A-Za-z]\d")
_JOINTS = re.compile(r"[\W_]+")
_SPECIFIC = re.compile(r"(?<![\w.])\d+(?:\.\d+)*(?!\w)|\b[A-Za-z]+(?:_[A-Za-z\d]+)+\b|\b[A-Z]?[a-z]+[A-Z]\w*|\b[A-Z_]{4,}\b")


def known_words(calls: Sequence[ToolCallFinished]) -> dict[str, int]:
    """Of the words that some search knows: in how many pieces the search that has it most holds each."""
    found: dict[str, int] = {}
    for call in calls:
        words = (call.result.data or {}).get("words")
        for word, held in words.items() if isinstance(words, Mapping) else ():
            if isinstance(held, int):
                found[str(word).lower()] = max(found.get(str(word).lower(), 0), held)
    return found


def absent_words(coverage: Coverage, calls: Sequence[ToolCallFinished]) -> list[str]:
    """The words that are accounted for nowhere, and that nothing of all that was searched holds."""
    known = known_words(calls)
    return [word for word in coverage.unused if known.get(word.lower()) == 0]


def of_information(
    question: Question,
    answer: QuotedAnswer,
    coverage: Coverage,
    calls: Sequence[ToolCallFinished],
    information: WordInformation,
) -> dict[str, float]:
    """Of what the question's words say, by how much each says and how rare it is, the share that is accounted for. `informed`:
    at one of the places that are told; `uninformed`: how far all of them are from a half, 0 to 1; `words`: how many there are,
    in eights. The workspace's own name says little in it, and a word that names a subject and that nothing of what was searched
    holds is no other word's sense: "minify" is not "min"; an asker's own example need not be there. `one_open` and `name_open`:
    the share that no one place accounts for, where one thing of many is asked for, and where a name is spelled that tells the
    place by itself, if it is known what the words say; `lacks_number`: a number is asked for, and the first place has none."""
    example = passed(question)
    words = list(dict.fromkeys(unit.text for unit in units(question) if unit.text in coverage.used or unit.text not in example))
    plain = [word.lower() for word in words]
    told = information([word if word.isalpha() else "" for word in plain]).tolist()
    known, own, aside = known_words(calls), _own_name(answer), _aside(question, answer)
    said_there = without_denials if asks_for_one(question) else str
    whole = _stems_there(said_there("\n".join(_texts(answer))))
    places = [_stems_there(said_there(text)) for text in _texts_apart(answer)]
    every = used = 0.0
    at = [0.0] * len(places)
    for word, low, says in zip(words, plain, told, strict=True):
        says = (says or OF_A_WORD) if low.isalpha() else OF_A_NAME
        held, stems = known.get(low), set(stems_of(word)) | set(stems_of(spaced(word)))
        says *= OF_A_SCENE if word in aside else 1.0
        weight = says * (OF_OWN_NAME if _bare(low) in own else 1.0) * (0.5 if held is None else 1.0 / (1.0 + math.log1p(held)))
        every += weight
        said = bool(stems) and stems <= whole
        if word not in coverage.used or (held == 0 and says > WITHOUT_A_SUBJECT and not said):
            continue
        used += weight
        at = [had + weight * (not said or stems <= place) for had, place in zip(at, places, strict=True)]
    best, share = (max(at, default=used) / every, used / every) if every else (1.0, 1.0)
    unsaid = 0.0 if information is uninformed else 1.0 - best
    return {
        "informed": best,
        "uninformed": max(0.0, 1.0 - 2.0 * share),
        "words": min(MOST_WORDS, len(words)) / 8,
        "one_open": unsaid * asks_for_one(question),
        "name_open": unsaid * (_AS_CODE.search(question.text) is not None),
        "lacks_number": float(lacks_number(question, answer.parts[0].text if answer.parts else answer.text)),
    }


def _aside(question: Question, answer: QuotedAnswer) -> frozenset[str]:
    """The words that set the scene, for an answer from code, which knows no scenes; a documentation tells by them what for."""
    return scene_words(question) if is_source(answer.candidate) else frozenset()


def _stems_there(text: str) -> set[str]:
    return set(stems_of(text)) | set(stems_of(spaced(text)))


def _texts_apart(answer: QuotedAnswer) -> Iterator[str]:
    """What an answer says at each of the places that it tells, with what that is called."""
    for part in answer.parts:
        yield "\n".join((part.text, *(part.citation.texts(_PLACE) if part.citation else ())))


def _own_name(answer: QuotedAnswer) -> set[str]:
    """What the workspace or library is called in which the answer stands: its name, and that without a version."""
    fields = answer.candidate.citation.fields if answer.candidate and answer.candidate.citation else {}
    names = [str(fields[key]) for key in ("root", "library") if fields.get(key)]
    return {_bare(name) for whole in names for name in (whole, _VERSION.sub("", whole))}


def of_words(
    question: Question, answer: QuotedAnswer, coverage: Coverage, calls: Sequence[ToolCallFinished]
) -> dict[str, float]:
    """`rare_words`: of the question's words, by how rare they are, the share that the answer and the names of its place have;
    `rarest_word`: whether they have the rarest; `rare_unused`: how rare the rarest word is that is accounted for nowhere."""
    rarity = {
        stem: 1.0 / (1.0 + math.log1p(held)) for word, held in known_words(calls).items() for stem in stems_of(word)
    }  # 1 where nothing holds it
    text = "\n".join(_texts(answer))
    there = set(stems_of(text)) | set(stems_of(spaced(text)))
    asked = {stem for token in question.tokens for stem in stems_of(token.text) if stem in rarity}
    whole = sum(rarity[stem] for stem in asked)
    aside = _aside(question, answer)
    unused = [
        rarity[stem] * (OF_A_SCENE if word in aside else 1.0)
        for word in coverage.unused
        for stem in stems_of(word)
        if stem in rarity
    ]
    return {
        "rare_words": sum(rarity[stem] for stem in asked & there) / whole if whole else 0.0,
        "rarest_word": float(max(asked, key=lambda stem: (rarity[stem], stem), default=None) in there),
        "rare_unused": max(unused, default=0.0),
    }


def of_names(question: Question, answer: QuotedAnswer) -> dict[str, float]:
    """`names_there`: a place in source code, with what it is called, has every name that the question spells as code is, but
    for the workspace's own."""
    own = _own_name(answer)
    names = [_bare(name.rsplit(".", 1)[-1]) for name in _NAME.findall(question.text) if _AS_CODE.search(name)]
    names = [name for name in names if name not in own]
    text = _bare("\n".join(_texts(answer))) if names and is_source(answer.candidate) else ""
    return {"names_there": float(bool(text) and all(name in text for name in names))}


def _bare(text: str) -> str:
    """Letters and digits alone, however they are joined."""
    return _JOINTS.sub("", text).lower()


def of_others(question: Question, answer: QuotedAnswer, others: Sequence[QuotedAnswer]) -> dict[str, float]:
    """`disagreed`: another tool has an answer, and it names no figure or identifier that this one does;
    `beside_code`: how well a place in source code fits, where the answer is none."""
    mine = _specific(answer.own_text, question.text)
    rivals = [
        other for other in others if other.call is not None and answer.call is not None and other.call.tool != answer.call.tool
    ]
    same = any(mine & _specific(other.own_text, question.text) for other in rivals)
    return {
        "disagreed": float(bool(rivals) and not same),
        "beside_code": max((_as_code(other) for other in rivals), default=0.0) * (not _as_code(answer)),
    }


def _as_code(answer: QuotedAnswer) -> float:
    candidate = answer.candidate
    return (candidate.found or 0.0) * min(1.0, candidate.fit or 0.0) if candidate and is_source(candidate) else 0.0


def _specific(text: str, question: str) -> set[str]:
    said = question.lower()
    return {found.lower() for found in _SPECIFIC.findall(text) if found.lower() not in said}


def _texts(answer: QuotedAnswer) -> Iterator[str]:
    yield answer.text
    if answer.candidate and answer.candidate.citation:
        yield from answer.candidate.citation.texts(_PLACE)
