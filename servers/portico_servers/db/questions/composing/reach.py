"""What a query of one table can reach, by table and column, and how far each place is. It knows stems, and no question."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property

from portico_servers.db.questions.language.words import name_words, stem
from portico_servers.db.rows.column_refs import ColumnRef, Join, every_column_ref, label_columns, parents_of
from portico_servers.db.schema import DatabaseSchema, Table

HOP = 0.25  # of a score, for each foreign key on the way
_LABELS = frozenset(
    stem(word) for word in "name title model label code subject username login handle description email number".split()
)
SAID_ROLE = 0.5  # more where the question says by which key: "the origin airport"


class Reach:
    """The columns that a query of `root` may name, by where they are."""

    def __init__(self, schema: DatabaseSchema, root: Table) -> None:
        self.schema, self.root = schema, root
        self.refs: Mapping[str, ColumnRef] = every_column_ref(schema, root)
        self.columns: dict[tuple[str, str], list[ColumnRef]] = {}
        self.counts: dict[tuple[str, str], list[ColumnRef]] = {}  # by the table that is pointed to, and the child
        for ref in self.refs.values():
            owner = ref.join.parent if ref.join else root
            if ref.children is not None:
                self.counts.setdefault((owner.name, ref.children.table.name), []).append(ref)
            elif ref.part is None:
                self.columns.setdefault((owner.name, ref.column.name), []).append(ref)

    @cached_property
    def joins(self) -> Mapping[str, list[Join | None]]:
        """By table, the ways there, the shortest first."""
        found: dict[str, list[Join | None]] = {self.root.name: [None]}
        level: list[Join | None] = [None]
        while level:
            level = [up for join in level for up in parents_of(self.schema, self.root, join)]
            for join in level:
                assert join is not None
                found.setdefault(join.parent.name, []).append(join)
        return found

    def reaches(self, tables: Collection[str]) -> bool:
        return all(name in self.joins for name in tables)

    def nearest(self, table: str, said: frozenset[str], via: Join | None = None) -> Join | None:
        """The best way to a table; `via`: rather through that one."""
        return min(self.joins[table], key=lambda join: self.cost(join, said) - 0.3 * goes_through(join, via))

    def cost(self, join: Join | None, said: frozenset[str]) -> float:
        """How far a place is, in a score's points. `said`: the stems of the question's words."""
        cost = 0.0
        while join is not None:
            cost += HOP - SAID_ROLE * self._says(join, said)
            join = join.via
        return cost

    def _says(self, join: Join, said: frozenset[str]) -> bool:
        role = self.role(join)
        return bool(role & said) or any(_alike(one, other) for one in role for other in said)

    def role(self, join: Join) -> frozenset[str]:
        """The stems by which a key says more than the table that it points to: `advisor_id`, `SupportRepId`."""
        stems = {stem(word) for name in join.key.columns for word in name_words(name)}
        return frozenset(stems - {stem(word) for word in name_words(join.parent.relation)} - {"id", "code", "key"})

    def place(self, table: str, column: str, said: frozenset[str], via: Join | None = None) -> ColumnRef | None:
        """The column at its nearest."""
        refs = self.columns.get((table, column))
        if not refs:
            return None
        return min(refs, key=lambda ref: self.cost(ref.join, said) + self._turns(ref.join) - 0.3 * goes_through(ref.join, via))

    def _turns(self, join: Join | None) -> float:
        """What a way back to the root's own table costs: it leads to another row, as a key that is said does."""
        while join is not None:
            if join.parent.name == self.root.name:
                return 0.6
            join = join.via
        return 0.0

    def of(self, join: Join | None) -> Iterator[ColumnRef]:
        """The columns of one place, in their order."""
        table = join.parent if join else self.root
        front = f"{join.prefix}." if join else ""
        for column in table.columns:
            if (ref := self.refs.get(f"{front}{column.name}")) is not None:
                yield ref

    def counts_through(self, owner: str, table: str) -> list[ColumnRef]:
        """The counts of rows that lead from one table to another: of an order's lines, for its products."""
        if owner == table:
            return []
        return [
            refs[0]
            for (of, child), refs in self.counts.items()
            if of == owner and len(refs) == 1 and any(key.parent == table for key in self.schema.by_name[child].foreign_keys)
        ]

    def key_join(self, ref: ColumnRef) -> Join | None:
        """The way on from a column that is a foreign key of its own."""
        for join in parents_of(self.schema, self.root, ref.join):
            if join.key.columns == (ref.column.name,):
                return join
        return None

    def labels(self, join: Join | None) -> list[ColumnRef]:
        """What the row at a place is called by: a name, else its key."""
        table = join.parent if join else self.root
        front = f"{join.prefix}." if join else ""
        named = [column.name for column in label_columns(table)]
        if len(named) == 1 and not _is_label(table, named[0]):
            named = []
        return [self.refs[f"{front}{name}"] for name in named] or self.keys(join)

    def keys(self, join: Join | None) -> list[ColumnRef]:
        """The primary key's columns."""
        return [ref for ref in self.of(join) if ref.column.primary_key]


def _alike(first: str, second: str) -> bool:
    """ "Assignee" and "assigned"."""
    short, long = sorted((first, second), key=len)
    return len(short) >= 5 and long.startswith(short) and len(long) - len(short) <= 3


def _is_label(table: Table, column: str) -> bool:
    """Are rows called by this column? By its name; a table of one such column has no other."""
    words = {stem(word) for word in name_words(column)}
    texts = [one for one in table.columns if one.kind == "text" and not table.is_key(one.name)]
    return bool(words & _LABELS) or words & {stem(w) for w in name_words(table.relation)} != set() or len(texts) == 1


def goes_through(join: Join | None, via: Join | None) -> bool:
    """Is `via` a step of the way?"""
    while join is not None and via is not None:
        if join.prefix == via.prefix:
            return True
        join = join.via
    return False
