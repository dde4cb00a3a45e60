"""Definitions, in every language that the server knows."""

from __future__ import annotations

import pytest

from portico_servers.code.syntax.languages import LANGUAGES, UnknownLanguage, language_of, normalize
from portico_servers.code.syntax.symbols import definitions

# language -> source, and what it defines as "kind dotted.name start-end"
SOURCES: dict[str, tuple[str, list[str]]] = {
    "python": (
        "LIMIT = 3\nclass A(B):\n    x = 1\n    @property\n    def m(self):\n        return 1\nasync def f():\n    pass\n",
        ["constant LIMIT 1-1", "class A 2-6", "variable A.x 3-3", "method A.m 5-6", "function f 7-8"],
    ),
    "javascript": (
        "class A {\n  m() {}\n}\nfunction f() {}\nconst g = () => 1;\nconst K = 2;\nexports.h = function () {};\n",
        ["class A 1-3", "method A.m 2-2", "function f 4-4", "function g 5-5", "constant K 6-6", "function h 7-7"],
    ),
    "typescript": (
        "interface I {\n  m(): void;\n}\ntype T = string;\nenum E { A }\nabstract class C {\n  n(): number { return 1; }\n}\n",
        ["interface I 1-3", "method I.m 2-2", "type T 4-4", "enum E 5-5", "class C 6-8", "method C.n 7-7"],
    ),
    "tsx": (
        "export const App = () => <div/>;\nfunction Page() { return <App/>; }\n",
        ["function App 1-1", "function Page 2-2"],
    ),
    "go": (
        "package p\ntype S struct{ a int }\ntype I interface{ M() }\nfunc f() {}\nfunc (s *S) M() {}\nconst K = 1\n",
        ["struct S 2-2", "interface I 3-3", "function f 4-4", "method S.M 5-5", "constant K 6-6"],
    ),
    "rust": (
        "struct S { a: i32 }\nimpl S {\n    fn n(&self) {}\n}\ntrait T { fn m(&self); }\nfn f() {}\n"
        "macro_rules! mm { () => {} }\n",
        ["struct S 1-1", "impl S 2-4", "method S.n 3-3", "trait T 5-5", "method T.m 5-5", "function f 6-6", "macro mm 7-7"],
    ),
    "java": (
        "class C {\n  C() {}\n  void m() {}\n}\ninterface I {}\nenum E { A }\nrecord R(int x) {}\n",
        ["class C 1-4", "method C.C 2-2", "method C.m 3-3", "interface I 5-5", "enum E 6-6", "class R 7-7"],
    ),
    "c": (
        "#define N 1\nstruct S { int a; };\nint *f(int a) {\n  return 0;\n}\nint g(void);\nstatic int counter = 1;\n",
        ["macro N 1-1", "struct S 2-2", "function f 3-5", "function g 6-6", "variable counter 7-7"],
    ),
    "cpp": (
        "namespace n {\nclass C {\n  void m();\n};\nvoid C::m() {}\n}\nusing X = int;\n",
        ["module n 1-6", "class n.C 2-4", "method n.C.m 3-3", "method n.C.m 5-5", "type X 7-7"],
    ),
    "csharp": (
        "class C {\n  int P { get; set; }\n  void M() {}\n}\ninterface I {}\n",
        ["class C 1-4", "property C.P 2-2", "method C.M 3-3", "interface I 5-5"],
    ),
    "ruby": (
        "module A\n  class B\n    X = 1\n    def m\n    end\n    def self.s\n    end\n  end\nend\n",
        ["module A 1-9", "class A.B 2-8", "constant A.B.X 3-3", "method A.B.m 4-5", "method A.B.s 6-7"],
    ),
    "php": (
        "<?php\nclass C {\n  function m() {}\n}\ntrait T {}\nfunction f() {}\n",
        ["class C 2-4", "method C.m 3-3", "trait T 5-5", "function f 6-6"],
    ),
    "bash": ("X=1\nrun() {\n  echo\n}\nfunction stop { echo; }\n", ["constant X 1-1", "function run 2-4", "function stop 5-5"]),
    "sql": ("CREATE TABLE users (id INT);\nCREATE VIEW v AS SELECT 1;\n", ["table users 1-1", "view v 2-2"]),
    "json": ('{\n  "a": {"b": 1},\n  "c": 2\n}\n', ["key a 2-2", "key c 3-3"]),
    "yaml": ("a:\n  b: 1\nc: 2\n", ["key a 1-2", "key c 3-3"]),
    "toml": ("k = 1\n[tool.x]\na = 1\n[[y]]\nb = 2\n", ["key k 1-1", "section tool.x 2-3", "section y 4-5"]),
    "markdown": (
        "# One\n\ntext\n\n## Two\n\nmore\n\n# Three\n",
        ["section One 1-8", "section One.Two 5-8", "section Three 9-9"],
    ),
    "html": (
        "<html><body>\n<h1>Hello</h1>\n<div id='main'>\n</div>\n</body></html>\n",
        ["section Hello 2-2", "element main 3-4"],
    ),
    "css": (".a { color: red }\n@keyframes spin { from { top: 0 } }\n", ["rule .a 1-1", "rule spin 2-2"]),
}


@pytest.mark.parametrize("language", [spec.name for spec in LANGUAGES])
def test_every_language_gives_its_definitions(language: str) -> None:
    source, expected = SOURCES[language]
    found = definitions(language, source.encode()).symbols
    assert [f"{s.kind} {s.qualified} {s.start}-{s.end}" for s in found] == expected


@pytest.mark.parametrize("language", [spec.name for spec in LANGUAGES])
@pytest.mark.parametrize(
    "source", [b"", b"\xff\xfe\x00", b"((((" * 500, "ü🙂\n".encode() * 20, b"class class class {{{ def ]]] <"]
)
def test_no_input_breaks_a_language(language: str, source: bytes) -> None:
    for symbol in definitions(language, source).symbols:
        assert 1 <= symbol.start <= symbol.end


def test_imports_are_found_with_their_lines() -> None:
    assert definitions("python", b"import os\nfrom a import (\n    b,\n)\n").imports == [(1, 1), (2, 4)]
    assert definitions("go", b'package p\nimport (\n\t"fmt"\n)\n').imports == [(2, 4)]


def test_a_signature_is_the_definition_up_to_its_body_on_one_line() -> None:
    source = b"def f(\n    a: int,\n    b: str = 'x',\n) -> None:\n    return None\n"
    assert definitions("python", source).symbols[0].signature == "def f( a: int, b: str = 'x', ) -> None:"


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a/b.py", "python"),
        ("A.TSX", "tsx"),
        ("x.h", "cpp"),
        ("x.c", "c"),
        ("Gemfile", "ruby"),
        ("LICENSE", "text"),
        ("a.unknown", "text"),
    ],
)
def test_a_language_is_told_by_the_file_name(path: str, language: str) -> None:
    assert language_of(path) == language


def test_words_for_languages_are_understood_and_others_named() -> None:
    assert [normalize(word) for word in ("py", "C++", ".ts", " Python ")] == ["python", "cpp", "typescript", "python"]
    with pytest.raises(UnknownLanguage, match=r"klingon.*python"):
        normalize("klingon")
