"""A question read as queries of one database: hypotheses of which table it is about and what it asks for, the best one first.

Tables are chosen first (those that words, values or keys lead to), then columns within them. It runs nothing; values and names
are looked up in what was read before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from portico_servers.db.questions.composing.conditions import add_conditions
from portico_servers.db.questions.composing.draft import Draft, QuestionParts
from portico_servers.db.questions.composing.projections import use_roles
from portico_servers.db.questions.composing.reach import Reach
from portico_servers.db.questions.composing.shapes import add_shape
from portico_servers.db.questions.language.cues import find_cues
from portico_servers.db.questions.language.lexicon import ANYBODY, EARNED_WORDS, PEOPLE, PERSON_WORDS, REPORTING, SALES_TABLES
from portico_servers.db.questions.language.superlatives import contrast
from portico_servers.db.questions.language.times import TimeCondition, find_times
from portico_servers.db.questions.language.words import OWNS, QuestionWords, name_words, read_words, stem
from portico_servers.db.questions.linking.bindings import bind_values
from portico_servers.db.questions.linking.names import Embed, NameLink, SchemaNames
from portico_servers.db.questions.linking.value_index import ValueIndex
from portico_servers.db.rows.column_refs import Join, is_link_table, label_columns, parents_of
from portico_servers.db.rows.implied_keys import with_implied_keys
from portico_servers.db.schema import DatabaseSchema, Table

MAX_ROOTS = 24  # tables that are tried as a query's own
MAX_ENTITIES = 5  # readings of what is asked for
FOCUS = 1.0  # points for the first thing said behind "how many" and its like,
VIEW = 0.6  # less for a view: it repeats what tables have
FURTHER = 0.25  # less for every word before it


@dataclass(slots=True)
class QuestionReader:
    """Reads questions on one database's schema. `embed`: static embeddings, or None to do without."""

    schema: DatabaseSchema
    embed: Embed | None = None
    _names: SchemaNames | None = None
    _reaches: dict[str, Reach] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.schema = with_implied_keys(self.schema)
        self._names = SchemaNames(self.schema, self.embed)

    def prepare(self) -> None:
        """What the first question would wait for."""
        assert self._names is not None
        self._names.prepare()

    def parts(self, question: str, index: ValueIndex) -> QuestionParts:
        """Everything in the question that stands for something."""
        assert self._names is not None
        read = read_words(question)
        times = [time for time in find_times(read) if not self._is_key(read, time)]
        timed = frozenset().union(*(time.words for time in times)) if times else frozenset()
        first = self._names.links(read, [i for i in range(len(read.words)) if i not in timed])
        values = bind_values(read, index, first, timed)
        valued = frozenset().union(*(value.words for value in values)) if values else frozenset()
        links = self._names.links(read, [i for i in range(len(read.words)) if i not in timed | valued])
        links = [replace(link, verb=True) if _is_done(read, link) else link for link in links]
        columns = (link.words for link in links if link.column is not None and link.score >= 0.8 and not link.sense)
        cues = find_cues(read, times, timed | valued, frozenset().union(*columns))
        if not cues.superlatives and len(values) > 1 and (one := contrast(read, cues.comparisons)):
            cues.superlatives, cues.limit, cues.contrast = [one], 1, True
        return QuestionParts(read, cues, tuple(times), tuple(values), tuple(links), index)

    def _is_key(self, read: QuestionWords, time: TimeCondition) -> bool:
        """ "Loan 1184": a bare number right behind the name of one thing is no year."""
        at = min(time.words)
        if time.named or not at or not read.gap(at - 1).isspace():
            return False
        assert self._names is not None
        before = read.words[at - 1]
        links = self._names.links(read, [at - 1])
        return not before.low.endswith("s") and any(link.column is None and link.score >= 0.95 for link in links)

    def read(self, question: str, index: ValueIndex) -> list[Draft]:
        """The readings, best first; none where no table fits."""
        parts = self.parts(question, index)
        drafts = [
            draft
            for root in self._roots(parts)
            for entity in self._entities(parts)
            if (draft := self._draft(parts, root, entity)) is not None
        ]
        return sorted(drafts, key=lambda draft: -draft.score)

    def _draft(self, parts: QuestionParts, root: Table, entity: NameLink | None) -> Draft | None:
        reach = self.reach(root)
        if entity is not None and entity.table not in reach.joins:
            return None
        if (
            entity is not None
            and _says_whose(parts, entity)
            and _points_to_itself(self.schema.by_name[entity.table], entity.column)
        ):
            return None  # "how many report to Ada": these are asked for, and not to whom
        place = reach.nearest(entity.table, parts.said) if entity is not None else None
        if place is not None and place.parent.name == root.name and self._says_whose_rows(parts, root):
            place = None
        if entity is not None and (join := _by_key(reach, entity, parts.said)) is not None:
            entity, place = NameLink(entity.words, join.parent.name, None, entity.score), join
        draft = Draft(parts, reach, entity, place)
        draft.score -= VIEW * root.view + 0.05 * len(root.columns) / 20
        if entity is not None:
            draft.score += _focused(parts, entity)
            draft.score -= 0.25 * (entity.sense)
        if (first := _value_asked_for(parts)) is not None:
            own = any(ref.join is None and (op, given) == ("=", first) for ref, op, given in draft.filters)
            draft.score += FOCUS * own if entity is None else -1.5 * FOCUS
        if entity is not None and is_link_table(self.schema.by_name[entity.table]):
            draft.score -= 1.0
        use_roles(draft, place)
        draft.above = self._above(parts, draft)
        add_conditions(draft)
        if entity is not None and entity.column is not None and draft.ref(entity) in [ref for ref, _, _ in draft.filters]:
            return None  # what is compared or given isn't asked for
        add_shape(draft)
        for link in parts.links:  # tables on the way are named for that they are there
            if link.column is None and link.table in {draft.table_of(ref) for ref in _refs(draft)}:
                draft.use(link.words - draft.used, 0.3 * link.score if not link.words <= draft.used else 0.0)
        return draft.finish()

    def _says_whose_rows(self, parts: QuestionParts, table: Table) -> bool:
        own = (link for link in parts.links if link.table == table.name and _points_to_itself(table, link.column))
        return any(_says_whose(parts, link) for link in own)

    def _above(self, parts: QuestionParts, draft: Draft) -> Join | None:
        """The way to a row's own superior, where the value is said to be that: "who reports to Ada", "departments under IT"."""
        table = draft.reach.root
        own = [key for key in table.foreign_keys if key.parent == table.name and len(key.columns) == 1]
        value = next((one for one in parts.values if any(o[0].table == table.name for o in one.options)), None)
        if len(own) != 1 or value is None or draft.place is not None or draft.entity is None:
            return None
        words = parts.words
        before = {word.low for word in words[max(0, value.first - 2) : value.first]}
        named = (link for link in parts.links if link.column == own[0].columns[0] and link.table == table.name)
        said = [link for link in named if link.verb or words[link.first].low in REPORTING]
        told = [link for link in said if _says_whose(parts, link)]
        if not told and not before & _BENEATH:
            return None
        draft.use({i for link in told for i in link.words} | {w.index for w in words if w.low in _BENEATH})
        return next((join for join in parents_of(self.schema, table, None) if join.key is own[0]), None)

    def reach(self, root: Table) -> Reach:
        if root.name not in self._reaches:
            self._reaches[root.name] = Reach(self.schema, root)
        return self._reaches[root.name]

    def _roots(self, parts: QuestionParts) -> list[Table]:
        """The tables that something leads to, and their children, the likelier first."""
        weight: dict[str, float] = {}
        for link in parts.links:
            weight[link.table] = max(weight.get(link.table, 0.0), link.score * (1.0 if link.column is None else 0.6))
        for value in parts.values:
            for option in value.options:
                weight[option[0].table] = max(weight.get(option[0].table, 0.0), 0.8)
        if any(word.low in EARNED_WORDS for word in parts.words):  # "how much did we earn": what tells of sales
            for sales in self.schema.tables:
                if not sales.view and {stem(word) for word in name_words(sales.relation)} & _SALES:
                    weight.setdefault(sales.name, 0.5)
        for table in sorted(weight, key=lambda name: -weight[name])[:MAX_ROOTS]:
            for child in self.schema.children.get(table, ()):
                weight.setdefault(child.name, weight[table] * 0.5)
                for grandchild in self.schema.children.get(child.name, ()):
                    weight.setdefault(grandchild.name, weight[table] * 0.25)
        ranked = sorted(weight, key=lambda name: -weight[name])[:MAX_ROOTS]
        return [self.schema.by_name[name] for name in ranked]

    def _entities(self, parts: QuestionParts) -> Iterator[NameLink | None]:
        """What may be asked for: names behind the word that asks, then others; or nothing that is named."""
        nouns = (link for link in parts.links if not link.verb)
        ranked = sorted(nouns, key=lambda link: -(_focused(parts, link) + link.score))
        yield from ranked[:MAX_ENTITIES]
        if parts.cues.who or _counts_anybody(parts):
            yield from self._people(parts)
        yield None

    def _people(self, parts: QuestionParts) -> Iterator[NameLink]:
        """Who "who" may be: tables of people, and columns that name one."""
        asking = PERSON_WORDS if parts.cues.who else ANYBODY
        who = frozenset(word.index for word in parts.words if word.low in asking)
        valued = {option[0].table for value in parts.values for option in value.options}
        persons = {stem(word) for word in PEOPLE}
        named = {
            link.table
            for link in parts.links
            if link.score >= 0.8
            and not link.verb
            and {stem(word) for word in name_words(self.schema.by_name[link.table].relation)} & persons
        }
        doing = {
            link.table
            for link in parts.links
            if link.column is None
            and (link.verb or (link.score >= 0.7 and {link.first - 1} & who and parts.cues.asked != "count"))
        }
        for link in parts.links:  # "who does she report to": whom a key of that name points to
            table = self.schema.by_name[link.table]
            verb = link.verb or parts.words[link.first].low in REPORTING
            if verb and link.column is not None and any(key.columns == (link.column,) for key in table.foreign_keys):
                own = link.first - 1 in who and _points_to_itself(table, link.column)  # "who reports to Ada"
                yield NameLink(who if own else who | link.words, link.table, None if own else link.column, 0.9)
        for table in self.schema.tables:
            if table.name in doing and not is_link_table(table) and not table.view and label_columns(table):
                yield NameLink(who, table.name, None, 0.9)
                continue
            if named and table.name not in named:
                continue
            people = {stem(word) for word in name_words(table.relation)} & _PEOPLE
            both = len(label_columns(table)) == 2
            if (people or both) and not is_link_table(table) and not table.view:
                said = max(
                    (link.score for link in parts.links if link.table == table.name and link.column is None), default=0.0
                )
                yield NameLink(who, table.name, None, 0.45 + 0.2 * both + 0.5 * said)
            for column in table.columns:
                words = {stem(word) for word in name_words(column.name)} & _PEOPLE - {stem("name")}
                if column.kind == "text" and words and not table.is_key(column.name) and not people:
                    said = max(
                        (link.score for link in parts.links if link.column == column.name and link.table == table.name),
                        default=0.0,
                    )
                    yield NameLink(who, table.name, column.name, 0.4 + 0.1 * (table.name in valued) + 0.4 * said)


def _is_done(question: QuestionWords, link: NameLink) -> bool:
    """ "Do we ship": what somebody does there, and not who does it."""
    at = link.first
    return (
        link.column is None
        and len(link.words) == 1
        and at > 1
        and (question.words[at - 1].low in _DOERS and question.words[at - 2].low in _AUXILIARIES)
    )


def _focused(parts: QuestionParts, link: NameLink) -> float:
    """How likely it is that a name is what is asked for, by where it stands."""
    if link.first and OWNS in parts.question.gap(link.first - 1) and any(one.last == link.first - 1 for one in parts.values):
        return FOCUS + 0.2  # "Ada's orders"
    behind = link.first - parts.cues.focus
    if behind < 0:
        return -0.3
    if any(one.adjective is None and 0 < link.first - one.last <= 3 for one in parts.cues.superlatives):
        return 0.0  # "the largest number of films": these are counted
    between = sum(
        1 for i in range(parts.cues.focus, link.first) if parts.words[i].content and not any(i in v.words for v in parts.values)
    )
    prepositions = sum(parts.words[i].low in _PREPOSITIONS for i in range(parts.cues.focus, link.first))
    return max(0.0, FOCUS - FURTHER * between - 0.3 * prepositions) + 0.1 * (link.column is None)


def _says_whose(parts: QuestionParts, link: NameLink) -> bool:
    """ "Reports to Ada", but not "does Ada report to"."""
    words, at = parts.words, max(link.words)
    if words[link.first].low not in REPORTING:
        return False
    behind = any(at < i <= at + 4 for i in (*(value.first for value in parts.values), *parts.cues.negations))
    return behind and not any(word.low in _ASKS_DOER for word in words[: link.first])


def _points_to_itself(table: Table, column: str | None) -> bool:
    return any(key.columns == (column,) and key.parent == table.name for key in table.foreign_keys)


def _counts_anybody(parts: QuestionParts) -> bool:
    """ "How many people work ..."."""
    asked = parts.words[parts.cues.focus] if parts.cues.focus < len(parts.words) else None
    return parts.cues.asked == "count" and asked is not None and asked.low in ANYBODY


def _value_asked_for(parts: QuestionParts) -> str | None:
    """ "How many developers are in ...": the value that is said where a name would tell what is asked for."""
    first = next(
        (w.index for w in parts.words[parts.cues.focus :] if w.content or any(w.index in v.words for v in parts.values)), None
    )
    value = next((one for one in parts.values if first is not None and one.first == first), None)
    alone = value is not None and value.last + 1 < len(parts.words) and not parts.words[value.last + 1].content
    return value.options[0][0].text if value is not None and alone and parts.cues.asked == "count" else None


_DOERS = frozenset("we you they i".split())
_AUXILIARIES = frozenset("do did can could should will would".split())
_BENEATH = frozenset("under below beneath underneath".split())
_ASKS_DOER = frozenset("does do did whom".split())
_PREPOSITIONS = frozenset("in on of at by to for from with that which who and is are was were does did do".split())


_PEOPLE = frozenset(stem(word) for word in PEOPLE)
_SALES = frozenset(stem(word) for word in SALES_TABLES)


def _by_key(reach: Reach, entity: NameLink, said: frozenset[str]) -> Join | None:
    """Where a key leads that is asked for by its own name: `leader_id`."""
    ref = reach.place(entity.table, entity.column, said) if entity.column else None
    return reach.key_join(ref) if ref is not None and ref.key and not ref.column.primary_key else None


def _refs(draft: Draft) -> list[Any]:
    every = [*draft.columns, *draft.group_by, *(ref for ref, _, _ in (*draft.filters, *draft.whole))]
    return every + ([draft.order_by] if draft.order_by else [])


def best(drafts: Sequence[Draft]) -> Draft | None:
    return drafts[0] if drafts else None
