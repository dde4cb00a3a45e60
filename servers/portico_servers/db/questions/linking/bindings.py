"""Values of the database that a question spells out, and where each may stand. It knows neither joins nor what is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from portico_servers.db.questions.language.demonyms import countries_of
from portico_servers.db.questions.language.words import FUNCTION, QuestionWords, Word, name_words, pieces
from portico_servers.db.questions.linking.names import NameLink
from portico_servers.db.questions.linking.value_index import LONGEST_STEMMED, IndexedValue, ValueIndex, each_span

FEW_VALUES = 200  # of a column: its values are categories, which people write in lower case
COMMON = frozenset("company firm people person thing time year day name number order office world system".split())  # no value
_SEXES = {
    **dict.fromkeys(("female", "females", "women", "woman", "girls"), ("f", "w", "female")),
    **dict.fromkeys(("male", "males", "men", "man", "boys"), ("m", "male")),
}
OPTIONS = 12  # places that are considered for one value


@dataclass(frozen=True, slots=True)
class BoundValue:
    """Words that spell a value, and where it may stand, the likelier ones first. Several columns at once: a person's names."""

    words: frozenset[int]
    options: tuple[tuple[IndexedValue, ...], ...]
    quoted: bool = False

    @property
    def first(self) -> int:
        return min(self.words)

    @property
    def last(self) -> int:
        return max(self.words)


def bind_values(
    question: QuestionWords, index: ValueIndex, links: Sequence[NameLink], taken: frozenset[int]
) -> list[BoundValue]:
    """Values in order; longer ones are taken before what is within them."""
    words, used, found = question.words, set(taken), []
    exact = [link for link in links if link.score >= 0.95 and not link.sense and len(link.words) == 1]
    exact_names = {
        i for link in exact if link.kind not in ("date", "boolean") for i in link.words
    }  # a state goes over its date
    for start, end in each_span(len(words)):
        span = set(range(start, end))
        if span & used:
            continue
        inside = words[start:end]
        quoted = any(span <= marks for marks in question.quoted)
        values = index.find([word.low for word in inside], [word.stem for word in inside])
        values += _of_sex(inside, index)
        values += [one for country in _countries(inside) for one in index.find(pieces(country), ())]
        values = [one for one in values if _may_be(inside, one, index, span, exact_names, quoted)]
        options = [*_whole_names(inside, index), *((one,) for one in values)]
        if options:
            used |= span
            found.append(BoundValue(frozenset(span), tuple(options[:OPTIONS]), quoted))
    found += _beginnings(question, index, used)
    found += _mingled(question, index, used)
    return _people(sorted(found, key=lambda one: one.first), index)


def _whole_names(words: Sequence[Word], index: ValueIndex) -> Iterator[tuple[IndexedValue, ...]]:
    """A first and a last name that are somebody's."""
    if len(words) != 2 or not all(word.capital for word in words):
        return
    firsts, lasts = (index.find([word.low], ()) for word in words)
    for (table, first, last), people in index.people.items():
        for a in firsts:
            for b in lasts:
                here = (a.table, a.column, b.table, b.column) == (table, first, table, last)
                if here and a.whole and b.whole and (a.text, b.text) in people:
                    yield a, b


def _of_sex(words: Sequence[Word], index: ValueIndex) -> list[IndexedValue]:
    """What stands for female or male in a column of few letters: "f", "w"."""
    letters = _SEXES.get(words[0].low, ()) if len(words) == 1 else ()
    found = (one for letter in letters for one in index.find((letter,), ()))
    return [one for one in found if {"sex", "gender"} & set(name_words(one.column)) and one.whole]


def _countries(words: Sequence[Word]) -> Sequence[str]:
    return countries_of(words[0].low) if len(words) == 1 else ()


def _may_be(
    words: Sequence[Word], value: IndexedValue, index: ValueIndex, span: set[int], names: set[int], quoted: bool
) -> bool:
    """May words in lower case be this value? Not what names a table, nor a common word that some title happens to be."""
    if len(words) == 1 and words[0].low in FUNCTION and not quoted and (len(words[0].low) == 1 or not words[0].text.isupper()):
        return False
    if quoted or any(word.capital for word in words[(words[0].index == 0) :]):
        return not (len(words) == 1 and words[0].index == 0 and span & names)
    if not any(word.content for word in words) and not (len(words) > 1 and any(word.low.isdigit() for word in words)):
        return False
    if len(words) == 1 and (span & names or words[0].low in COMMON):
        return False
    few = index.distinct.get((value.table, value.column), 0) <= FEW_VALUES
    return few or len(words) > 1 or any(char.isdigit() for char in words[0].low)


def _beginnings(question: QuestionWords, index: ValueIndex, used: set[int]) -> Iterator[BoundValue]:
    """Words with a capital that only begin a value: "Vice President" of "Vice President, Sales"."""
    words = question.words
    for start, end in each_span(len(words), 3):
        span = set(range(start, end))
        if span & used or start == 0 or not all(words[i].capital for i in span):
            continue
        if end < len(words) and question.gap(end - 1) in ("-", ".", "_", "/"):
            continue  # a part of a code
        if (start > 1 and words[start - 1].capital) or (end < len(words) and words[end].capital):
            continue  # a part of a longer name
        values = index.starts.get(tuple(word.low for word in words[start:end]), [])
        places = {(one.table, one.column) for one in values}
        if not values or len(places) > OPTIONS:
            continue
        used |= span
        text = question.text[words[start].start : words[end - 1].end]
        yield BoundValue(
            frozenset(span), tuple((IndexedValue(table, column, text, whole=False),) for table, column in sorted(places))
        )


def _mingled(question: QuestionWords, index: ValueIndex, used: set[int]) -> Iterator[BoundValue]:
    """The words of a category in another order: "repaired the mount" for "mount repaired"."""
    for start, end in each_span(len(question.words), LONGEST_STEMMED + 1):
        span = set(range(start, end))
        inside = question.words[start:end]
        if len(span) < 2 or span & used or not (inside[0].content and inside[-1].content):
            continue
        values = index.mingled.get(frozenset(word.stem for word in inside if word.content), ())
        options = [(one,) for one in values if index.distinct.get((one.table, one.column), 0) <= FEW_VALUES]
        if options:
            used |= span
            yield BoundValue(frozenset(span), tuple(options[:OPTIONS]))


def _people(found: list[BoundValue], index: ValueIndex) -> list[BoundValue]:
    """Values side by side in two columns of one table are one: a first and a last name, rather somebody's who is there."""
    merged: list[BoundValue] = []
    for one in found:
        if merged and merged[-1].last + 1 == one.first and len(merged[-1].options[0]) == 1:
            pairs = tuple(
                (a, b)
                for (a, *_) in merged[-1].options
                for (b, *_) in one.options
                if a.table == b.table and a.column != b.column and a.whole and b.whole and _is_name(a) and _is_name(b)
            )
            known = tuple((a, b) for a, b in pairs if (a.text, b.text) in index.people.get((a.table, a.column, b.column), ()))
            if pairs := known or pairs:
                merged[-1] = BoundValue(merged[-1].words | one.words, pairs)
                continue
        merged.append(one)
    return merged


def _is_name(value: IndexedValue) -> bool:
    return "name" in name_words(value.column)
