"""A question as words: in order, folded, stemmed, and which of them carry meaning. It knows English, and no database.

Words are cut at every mark, as values are (`PG-13` is `pg` and `13`), so that one meets the other however it is written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from portico_servers.db.questions.language.lemmas import IRREGULAR
from portico_servers.db.questions.language.schema_words import meaning, meaning_of_inflected

_PIECE = re.compile(r"[^\W_]+")
OWNS = "\x1f"  # what stands for the "'s" of an owner in a question; Unicode calls it a space
_REMARK = re.compile(  # how exact a number shall be: "(two decimals)", "one decimal is enough", "rounded to 2 digits"
    r"""[(,;:–-]?\s*\b(?: (?:rounded\s|round\s)?(?:to\s|with\s|at\s)?(?:one|two|three|four|no|\d)\s
      decimal(?:\splaces?|\sdigits?|s)? | (?:rounded|round)\sto\s(?:one|two|three|\d)\s(?:digits?|places?) )\b
    (?:\safter\sthe\s(?:point|comma))? (?:,?\s(?:is|are|will\sbe)\s(?:enough|fine|ok))? (?:,?\splease)? \)?""",
    re.IGNORECASE | re.VERBOSE,
)
_WISH = re.compile(  # "a customer wants the price of ...": who wants it changes nothing
    r"^\W*(?:(?:hi|hello|hey)\W+)?(?:(?:a|an|the|my|our|some)\s+)?\w+\s+(?:wants|needs|asks\s+for|is\s+(?:asking|looking)\s+for)"
    r"\s+(?=(?:the|a|an|all|to know)\b)",
    re.IGNORECASE,
)
_WRITTEN_OUT = (
    (_WISH, "give me "),
    (re.compile(r"\b(can|won|shan)['’]?t\b", re.IGNORECASE), r"\1 not"),
    (re.compile(r"\b(do|does|did|is|are|was|were|have|has|had|could|should|would|must)nt\b", re.IGNORECASE), r"\1 not"),
    (re.compile(r"\b(what|who|where|when|how|that|there)s\b", re.IGNORECASE), r"\1"),
    (_REMARK, " "),
    (re.compile(r"\b(?:i\.\s?e|e\.\s?g|viz)\.", re.IGNORECASE), ","),
    (re.compile(r"(?:\b(?:no|nr|num)\.?\s*|#\s*)(?=\d)", re.IGNORECASE), "number "),
    (re.compile(r"\b(?:take|takes|took|taken|taking) place\b", re.IGNORECASE), "happen"),
    (re.compile(r"\bno[ -]one\b", re.IGNORECASE), "nobody"),
    (re.compile(r"\bsold[ -]out\b", re.IGNORECASE), "out of stock"),
    (re.compile(r"\b(?:running|playing) (?:times?|length)\b", re.IGNORECASE), "runtime"),
    (re.compile(r"\b(?:any|some)(?:body|one) above (?:them|him|her)\b", re.IGNORECASE), "a boss"),
    (re.compile(r"\bnobody above (?:them|him|her)\b", re.IGNORECASE), "no boss"),
    (re.compile(r"\b(boss|manager|superior|supervisor) above (?:them|him|her|it)\b", re.IGNORECASE), r"\1"),
    (re.compile(r"n['’]t\b", re.IGNORECASE), " not"),
    (re.compile(r"(?<=\w)['’]s\b|(?<=s)['’](?=\s)", re.IGNORECASE), f"{OWNS} "),
    (re.compile(r"['’](re|ll|ve|d|m)\b", re.IGNORECASE), " "),
)
_FRONT = re.compile(r"(?:tbl|vw)_(?=\w)|(?:tbl|vw)(?=[A-Z])|(?:TBL|VW)_(?=\w)")
_NUMBERS = {
    word: n for n, word in enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())
} | {"dozen": 12, "hundred": 100, "thousand": 1000}  # fmt: skip
FUNCTION = frozenset(
    "a an the of in on at by to for from with and or is are was were be been being am do does did done has have "
    "had having it its "
    "this that these those there here i we us our my me you your he she they them their his her who whom whose "
    "which what when "
    "where why how many much please can could would should will shall may might must not no any all every each "
    "some as so than "
    "then into over under up out off also just only ever still yet now right about if but per s t d ll re ve like "
    "know want need "
    "let give show list tell find get name see count number total altogether together overall currently available "
    "exist exists "
    "different distinct various current single one ones same both either neither without never none nobody between "
    "before after "
    "since until during more less most least fewer fewest top first last average mean sum maximum minimum highest "
    "lowest".split()
)


@dataclass(frozen=True, slots=True)
class Word:
    """One word, number or piece of a code: as it stands, folded, stemmed; `content`: it carries meaning of its own."""

    index: int
    text: str
    low: str
    stem: str
    start: int
    end: int

    @property
    def content(self) -> bool:
        return self.low not in FUNCTION and not self.low.isdigit()

    @property
    def capital(self) -> bool:
        return self.text[0].isupper()


@dataclass(frozen=True, slots=True)
class QuestionWords:
    """A question: its text (contractions written out), its words, and the spans of words that stand in quotes."""

    text: str
    words: tuple[Word, ...]
    quoted: tuple[frozenset[int], ...]

    def gap(self, at: int) -> str:
        """What stands between a word and the next."""
        following = self.words[at + 1].start if at + 1 < len(self.words) else len(self.text)
        return self.text[self.words[at].end : following]


def read_words(question: str) -> QuestionWords:
    """The words of a question."""
    for pattern, into in _WRITTEN_OUT:
        question = pattern.sub(into, question)
    words = tuple(
        Word(i, match[0], fold(match[0]), stem(meaning_of_inflected(fold(match[0]))), match.start(), match.end())
        for i, match in enumerate(_PIECE.finditer(question))
    )
    return QuestionWords(question, words, tuple(_quoted(question, words)))


def _quoted(text: str, words: Sequence[Word]) -> Iterator[frozenset[int]]:
    for match in re.finditer(r"[\"“”]([^\"“”]+)[\"“”]|(?<!\w)['‘`]([^'’`]+)['’`](?!\w)", text):
        inside = frozenset(word.index for word in words if match.start() <= word.start and word.end <= match.end())
        if inside:
            yield inside


def names_nothing(question: QuestionWords, at: int) -> bool:
    """Is it a request ("please name the ...", "count the ..."), or the place where somebody asks ("in our company")?"""
    word = question.words[at].low
    before = question.words[at - 1].low if at else ""
    after = question.words[at + 1].low if at + 1 < len(question.words) else ""
    opens = not at or before in _BEFORE_REQUEST or question.gap(at - 1).strip() != ""
    if word in _REQUESTS and opens and after in _BEHIND_REQUEST:
        return True
    return word in _WHERE_ASKED and before in ("our", "this", "my")


_REQUESTS = frozenset("name list count number show order sort rank state report total group".split())
_BEFORE_REQUEST = frozenset("please and then to you just kindly me now".split())
_BEHIND_REQUEST = frozenset("the all every each our any me us them up those these how which who what it".split())
_WHERE_ASKED = frozenset(
    "company firm business organisation organization school library shop store office place collection database system "
    "catalogue catalog records warehouse team network town house books".split()
)


def number_of(word: Word) -> int | None:
    """A whole number in figures, or in words."""
    if word.low.isascii() and word.low.isdigit() and len(word.low) <= 15:
        return int(word.low)
    return _NUMBERS.get(word.low)


@lru_cache(maxsize=50_000)
def fold(text: str) -> str:
    """Without case and accents: `Köln` and `KOLN` are one."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in plain if not unicodedata.combining(char))


def pieces(text: str) -> tuple[str, ...]:
    """The folded words of a value or a name, cut as a question's are."""
    return tuple(fold(piece) for piece in _PIECE.findall(text))


def name_words(name: str) -> tuple[str, ...]:
    """A table's or column's name as folded words: `UnitPrice` and `unit_price` are `unit`, `price`; what is shortened or in
    another language as what it means, and without a front that only says that it is a table."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", _FRONT.sub("", name))
    return tuple(word for piece in pieces(spaced) for word in meaning(piece))


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """So far that singular and plural, noun and verb meet: `returned` and `returns`, `categories` and `category`."""
    word = IRREGULAR.get(word, word)
    if len(word) <= 3 or not word.isalpha():
        return word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return _bare(word[: -len(ending)] + instead)
    return _bare(word)


_ENDINGS = (
    ("sses", "ss"), ("ies", "y"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("ations", ""), ("ation", ""), ("ments", ""),
    ("ment", ""), ("ings", ""), ("ing", ""), ("ied", "y"), ("ed", ""), ("ers", ""), ("ors", ""), ("er", ""), ("or", ""),
    ("us", "us"), ("ss", "ss"), ("is", "is"), ("s", ""),
)  # fmt: skip


def _bare(word: str) -> str:
    """Without a doubled or a mute letter at its end."""
    if len(word) > 3 and word.endswith(("e", "y")):
        word = word[:-1]
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeious":
        word = word[:-1]
    return word
