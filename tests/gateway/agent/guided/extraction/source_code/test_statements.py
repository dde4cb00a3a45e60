from __future__ import annotations

from portico_gateway.agent.guided.extraction.source_code.statements import Role, SourceTree, is_prose, source_tree

PYTHON = '''\
class Pool:
    """Blocks."""

    @property
    def size(
        self,
        unit: int = 16,
    ) -> int:
        if unit:
            return unit
        return 0

LIMITS = (
    1,
    2,
)
'''


def named(tree: SourceTree) -> list[tuple[str, int, int]]:
    return [(tree.qualified(s), s.first, s.last) for s in tree.statements if s.name]


def test_a_statement_goes_on_until_its_brackets_close() -> None:
    tree = source_tree("pool.py", PYTHON)
    assert (tree.statements[-1].first, tree.statements[-1].last) == (13, 16)


def test_a_decorator_and_a_head_of_several_lines_are_one_definition() -> None:
    tree = source_tree("pool.py", PYTHON)
    assert named(tree) == [("Pool", 1, 1), ("Pool.size", 4, 8)]


def test_a_statement_knows_what_encloses_it() -> None:
    tree = source_tree("pool.py", PYTHON)
    inner = next(s for s in tree.statements if tree.text(s).strip() == "return unit")
    assert [tree.statements[i].first for i in inner.parents] == [1, 4, 9]
    assert tree.qualified(inner) == "Pool.size"


def test_a_documentation_string_is_text_and_encloses_nothing() -> None:
    tree = source_tree("pool.py", PYTHON)
    assert tree.statements[1].role is Role.TEXT
    assert all(1 not in s.parents for s in tree.statements)


def test_a_body_ends_with_its_last_line() -> None:
    tree = source_tree("pool.py", PYTHON)
    assert tree.body_end(0) == 11
    assert tree.body_end(len(tree.statements) - 1) == 16


def test_functions_of_other_languages_are_definitions() -> None:
    heads = {
        "app.set = function set(setting, val) {": "set",
        "function parse(str) {": "parse",
        "export default class View {": "View",
        "  get(name) {": "get",
        "func (s *Server) Listen(port int) error {": "Listen",
        "pub fn run(&self) -> u8 {": "run",
        "public static int count(List<T> items) {": "count",
        "const add = (a, b) => {": "add",
    }
    for head, name in heads.items():
        assert source_tree("x", f"{head}\n    body\n}}\n").statements[0].name == name, head


def test_control_flow_is_no_definition() -> None:
    for head in ("if (ready) {", "for (let i = 0; i < n; i++) {", "} else if (x) {", "while (true) {", "switch (a) {"):
        assert source_tree("x.js", f"{head}\n    body\n}}\n").statements[0].name == "", head


def test_a_bracket_that_never_closes_ends_with_its_line() -> None:
    tree = source_tree("x.py", "broken = (\n" + "a\n" * 100)
    assert (tree.statements[0].first, tree.statements[0].last) == (1, 1)


def test_prose_is_text_line_by_line() -> None:
    tree = source_tree("README.md", "# Title (draft\n\nSome words.\n")
    assert [(s.role, s.first) for s in tree.statements] == [(Role.TEXT, 1), (Role.TEXT, 3)]


def test_an_empty_file_has_no_statements() -> None:
    assert source_tree("x.py", "").statements == []


def test_a_file_for_people_is_known_by_its_name() -> None:
    assert all(map(is_prose, ("README.md", "docs/a.rst", "LICENSE", "pkg/PKG-INFO")))
    assert not any(map(is_prose, ("a.py", "Makefile", "bin/run", "src/Dockerfile")))


def test_where_the_links_of_a_document_lead_is_no_statement() -> None:
    tree = source_tree("a.md", "Words on [`spawn`][].\n\n[`spawn`]: #spawn\n[a and b]: b.md#c\n[x] done: yes\n")
    assert [s.first for s in tree.statements] == [1, 5]
    assert [s.first for s in source_tree("a.rst", ".. _PyPI: https://x.example\nwords\n.. note::\n").statements] == [2, 3]
    assert len(source_tree("a.py", "[a]: int\n").statements) == 1
