"""Labels of the code search benchmark, made mechanically: no person chose a question, and none was looked at.

usage: python benchmarks/code_search_labels.py [--history NAME=GIT_DIR ...]    (writes benchmarks/data/code_search.jsonl)

Two kinds, on the trees of public packages as pip installs them:
- docstring: the first sentence of a definition's docstring asks for that definition; every docstring is removed from the tree.
- commit: the subject of a commit in the project's public history asks for the files of the package that it touched.
The file holds no text of those projects: a question is read from the package, or from a clone, and known by its digest. So a
label counts only where exactly that text is there.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

LABELS = Path(__file__).parent / "data" / "code_search.jsonl"
# Distribution -> import name: ten trees of different size and style.
PACKAGES = {
    "click": "click",
    "rich": "rich",
    "starlette": "starlette",
    "networkx": "networkx",
    "sympy": "sympy",
    "hypothesis": "hypothesis",
    "docutils": "docutils",
    "jinja2": "jinja2",
    "pytest": "_pytest",
    "pydantic": "pydantic",
}
PER_PACKAGE = 120
COMMITS_PER_PACKAGE = 60
WORDS = (5, 30)


class Docstring(NamedTuple):
    name: str  # dotted, as the definition is nested
    question: str


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def package_dir(module: str) -> Path | None:
    spec = importlib.util.find_spec(module)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def docstrings(source: str) -> list[Docstring]:
    """Every definition whose name is unique in the file and whose docstring opens with a sentence of `WORDS` words."""
    found: list[Docstring] = []
    seen: Counter[str] = Counter()

    def visit(node: ast.AST, outer: tuple[str, ...]) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                path = (*outer, child.name)
                seen[".".join(path)] += 1
                text = ast.get_docstring(child)
                sentence = first_sentence(text) if text else ""
                if WORDS[0] <= len(sentence.split()) <= WORDS[1] and (child.end_lineno or 0) - child.body[0].lineno >= 3:
                    found.append(Docstring(".".join(path), sentence))
                visit(child, path)
            else:
                visit(child, outer)

    visit(ast.parse(source), ())
    return [item for item in found if seen[item.name] == 1]


def first_sentence(text: str) -> str:
    paragraph = " ".join(text.strip().split("\n\n", 1)[0].split())
    return re.split(r"(?<=[.!?])\s", paragraph, maxsplit=1)[0].rstrip(".")


def without_docstrings(source: str) -> str:
    """The source without any docstring, comments kept; a body of nothing else becomes `...`."""
    lines = source.split("\n")
    cuts: list[tuple[int, int, str]] = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module) or not node.body:
            continue
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            alone = lines[first.lineno - 1][: first.col_offset].strip() == ""
            if alone:
                indent = lines[first.lineno - 1][: first.col_offset]
                cuts.append((first.lineno, first.end_lineno or first.lineno, f"{indent}..." if len(node.body) == 1 else ""))
    for start, end, instead in sorted(cuts, reverse=True):
        lines[start - 1 : end] = [instead] if instead else []
    return "\n".join(lines)


def docstring_labels(package: str, module: str) -> Iterator[dict[str, object]]:
    root = package_dir(module)
    if root is None:
        raise SystemExit(f"{package} is not installed: pip install -e '.[dev]' networkx sympy rich starlette pydantic")
    candidates: list[tuple[str, str, str]] = []
    for file in sorted(root.rglob("*.py")):
        try:
            found = docstrings(file.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        candidates += [(file.relative_to(root).as_posix(), item.name, item.question) for item in found]
    often = Counter(question for _, _, question in candidates)
    unique = [item for item in candidates if often[item[2]] == 1 and "test" not in item[0]]
    version = importlib.metadata.version(package)
    for path, name, question in sorted(unique, key=lambda item: digest(f"{package} {item}"))[:PER_PACKAGE]:
        yield {
            "kind": "docstring",
            "package": package,
            "version": version,
            "path": path,
            "name": name,
            "question": digest(question),
        }


def commit_labels(package: str, module: str, history: Path) -> Iterator[dict[str, object]]:
    root = package_dir(module)
    assert root is not None
    log = subprocess.run(
        ["git", "-C", str(history), "log", "--no-merges", "--format=%x00%H%x1f%s", "--name-only"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found: list[tuple[str, str, list[str]]] = []
    for entry in log.split("\0")[1:]:
        head, _, names = entry.partition("\n")
        sha, _, subject = head.partition("\x1f")
        touched = [name for name in names.split("\n") if name.endswith(".py")]
        inside = [name.rpartition(f"{module}/")[2] for name in touched if re.match(rf"(src/)?{module}/", name)]
        inside = [
            name for name in inside if (root / name).is_file() and "test" not in name and not name.endswith("__init__.py")
        ]
        if (
            1 <= len(inside) <= 3
            and WORDS[0] <= len(subject.split()) <= WORDS[1]
            and not re.search(r"(?i)\b(bump|release|version|merge|revert)\b", subject)
        ):
            found.append((sha, subject, inside))
    version = importlib.metadata.version(package)
    for sha, subject, files in sorted(found, key=lambda item: digest(item[0]))[:COMMITS_PER_PACKAGE]:
        yield {
            "kind": "commit",
            "package": package,
            "version": version,
            "commit": sha,
            "paths": sorted(set(files)),
            "question": digest(subject),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--history", action="append", default=[], metavar="NAME=GIT_DIR")
    histories = dict(item.split("=", 1) for item in parser.parse_args().history)
    labels = [label for package, module in PACKAGES.items() for label in docstring_labels(package, module)]
    for package, directory in histories.items():
        labels += commit_labels(package, PACKAGES[package], Path(directory))
    LABELS.write_text("".join(json.dumps(label, separators=(",", ":")) + "\n" for label in labels))
    print(f"{len(labels)} labels, sha256 {hashlib.sha256(LABELS.read_bytes()).hexdigest()}")
    for (package, kind), count in sorted(Counter((str(label["package"]), str(label["kind"])) for label in labels).items()):
        print(f"  {package}: {count} {kind}")


if __name__ == "__main__":
    main()
