from __future__ import annotations

import pytest

from portico_gateway.agent.guided.answers.companions import companions, together
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate
from portico_gateway.agent.guided.extraction.source_code.places import SourceScorer
from portico_gateway.agent.guided.extraction.source_code.words import Senses
from portico_gateway.agent.guided.extraction.source_lines import MOST_CANDIDATES, SourceFile, source_lines
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS
from portico_servers.common.embeddings import Embedder

SCORER = SourceScorer(Senses(Embedder().embed, DEFAULT_WEIGHTS.code_words), DEFAULT_WEIGHTS.source)

POOL = '''\
"""A pool of blocks."""

import zlib

from errors import PoolFull

DEFAULT_BLOCKS = 64


class Pool(Store):
    """Keeps blocks."""

    def __init__(
        self,
        blocks: int = DEFAULT_BLOCKS,
        encoding: str = "utf-8",
    ) -> None:
        self.blocks = blocks

    def take(self) -> int:
        if not self.blocks:
            raise PoolFull("no block is left")
        return self.pop_block()

    def pop_block(self) -> int:
        return zlib.crc32(b"block")


def drain(pool: Pool) -> None:
    while pool.blocks:
        pool.pop_block()
'''
ERRORS = '''\
class StoreError(Exception):
    """Any."""


class PoolFull(StoreError):
    """No block is left."""


class Store:
    """A base."""
'''
FILES = {
    "pool.py": POOL,
    "errors.py": ERRORS,
    "tests/test_pool.py": "from pool import Pool\nencoding = Pool(encoding='ascii')\n",
}


def asked(question: str, files: dict[str, str] | None = None) -> list[AnswerCandidate]:
    found = [SourceFile(path, text, {"path": path, "root": "r"}, 1.0) for path, text in (files or FILES).items()]
    return source_lines(question, found, SCORER)


def answer(question: str) -> str:
    return asked(question)[0].text


def test_a_default_is_answered_by_its_line_and_the_lines_beside_it() -> None:
    text = answer("default encoding of Pool?")
    assert text.startswith("pool.py:16: Pool.__init__\n")
    assert 'encoding: str = "utf-8"' in text


def test_the_value_whose_name_is_said_comes_before_its_neighbours_and_its_uses() -> None:
    code = (
        "class PoolReader:\n    def __init__(\n        self,\n        thread_minimum_size: int = 128,\n    ) -> None: ...\n\n"
        "class Pool:\n    def __init__(\n        self,\n        minimum_size: int = 64,\n"
        '        read_mode: Literal["lazy", "eager"] = "lazy",\n    ) -> None:\n'
        '        self.log("minimum size of the pool", minimum_size=99, read_mode="mode of the pool")\n'
    )
    assert "minimum_size: int = 64" in asked("default minimum size of the pool?", {"pool.py": code})[0].text
    assert 'read_mode: Literal["lazy", "eager"] = "lazy"' in asked("default read mode of Pool?", {"pool.py": code})[0].text


def test_a_constant_is_followed_to_its_value() -> None:
    assert "pool.py:7: DEFAULT_BLOCKS = 64" in answer("how many blocks does a Pool have by default?")


def test_a_default_in_a_head_is_followed_to_its_value() -> None:
    code = "CHUNK_SIZE = 512\n\n\ndef iter_lines(path: str, chunk_size: int = CHUNK_SIZE) -> list[str]:\n    return []\n"
    found = asked("How many bytes does iter_lines take at a time by default?", {"lines.py": code})
    assert "lines.py:1: CHUNK_SIZE = 512" in found[0].text


def test_a_short_place_is_shown_with_what_follows_it_in_its_block() -> None:
    code = (
        "def guessed(content_type: str) -> str | None:\n"
        '    if "charset" in content_type:\n'
        '        return content_type.partition("charset=")[2]\n\n'
        '    if "text" in content_type:\n'
        '        return "latin-1"\n'
        "    return None\n\n\n"
        "def other() -> None: ...\n"
    )
    text = next(one.text for one in asked("guessed charset of a content type?", {"guess.py": code}) if "partition" in one.text)
    assert 'return "latin-1"' in text
    assert "def other" not in text


def test_an_exception_is_answered_by_the_line_that_raises_it() -> None:
    assert "raise PoolFull" in answer("Which error is raised when there is no block left in take?")


def test_bases_are_answered_with_the_bases_of_the_bases() -> None:
    text = answer("Which class does PoolFull inherit from?")
    assert "class PoolFull(StoreError):" in text
    assert "errors.py:1: class StoreError(Exception):" in text


def test_a_signature_is_one_line() -> None:
    assert 'def __init__(self, blocks: int = DEFAULT_BLOCKS, encoding: str = "utf-8") -> None:' in answer(
        "Which arguments does the constructor of Pool take?"
    )


def test_callers_are_answered_by_the_calls_and_not_by_the_definition() -> None:
    texts = [candidate.text for candidate in asked("Where is pop_block called?")[:2]]
    assert any("Pool.take" in text for text in texts)
    assert any("drain" in text for text in texts)


def test_the_methods_of_a_class_are_counted_and_named() -> None:
    assert "class Pool: 3 methods: __init__, take, pop_block" in answer("How many methods does Pool have?")


def test_classes_that_a_word_goes_with_are_listed() -> None:
    files = {
        "errors.py": "class ReadTimeout(TimeoutException): ...\nclass WriteTimeout(TimeoutException): ...\nclass Other: ...\n"
    }
    assert "2 exceptions of timeout: ReadTimeout, WriteTimeout" in asked("Which timeout exceptions are there?", files)[0].text


def test_what_derives_from_a_class_is_listed() -> None:
    assert answer("Which subclasses of StoreError are there?") == "errors.py:1: 1 subclass of StoreError: PoolFull"


def test_tests_answer_last() -> None:
    assert not answer("encoding of Pool").startswith("tests/")


def test_a_candidate_cites_its_own_line() -> None:
    citation = asked("default encoding of Pool?")[0].citation
    assert citation is not None
    assert (citation.label, citation.line, citation.quote) == ("pool.py:16", 16, 'encoding: str = "utf-8",')
    assert citation.fields["root"] == "r"


def test_what_is_not_there_is_found_less() -> None:
    there, absent = asked("default encoding of Pool?")[0], asked("default failure threshold of CircuitBreaker?")[0]
    assert there.found is not None
    assert absent.found is not None
    assert there.found > 0.8
    assert absent.found < 0.4


def test_candidates_are_few_and_best_first() -> None:
    found = asked("block")
    assert len(found) <= MOST_CANDIDATES
    assert [c.weight for c in found] == sorted((c.weight for c in found), key=lambda w: -(w or 0.0))


def test_no_words_or_no_files_give_no_candidates() -> None:
    assert asked("") == []
    assert source_lines("default encoding?", [], SCORER) == []


def test_an_empty_file_gives_no_candidates() -> None:
    assert asked("default encoding?", {"a.py": ""}) == []


LOADER = '''\
class FolderLoader:
    """Loads pages."""

    def __init__(
        self,
        package_name: str,
        package_path: str = "pages",
        encoding: str = "utf-8",
    ) -> None:
        self.package_name = package_name

    def find(self, name: str) -> str:
        raise LookupError(f"there is no folder {name}")

    def export(self, name: str) -> bytes:
        """Write a page out.

        .. versionadded:: 1.7
        """
        if name in self.broken:
            msg = f"Expected a page or a folder, not {name!r}"
            log(msg)
            raise TypeError(msg)
        return b""
'''
TWIN = """\
class {name}Pool:
    {head}def close(self) -> None:
        {call}self.lock.acquire(timeout=30)
"""


def test_a_parameter_is_shown_with_its_function() -> None:
    [first, *_] = asked("which encoding does FolderLoader assume by default?", {"loader.py": LOADER})
    assert 'encoding: str = "utf-8"' in first.text
    assert "def __init__(self, package_name: str" in first.text


def test_the_version_that_brought_something_stands_in_its_documentation() -> None:
    [first, *_] = asked("WHICH RELEASE BROUGHT export", {"loader.py": LOADER})
    assert "versionadded:: 1.7" in first.text


def test_good_lines_near_the_best_one_are_shown_with_it() -> None:
    [first, *_] = asked(
        "What error does export raise when it expected a page and was given something broken?", {"loader.py": LOADER}
    )
    assert "Expected a page or a folder" in first.text
    assert "raise TypeError(msg)" in first.text


def test_of_two_places_that_nobody_could_tell_apart_both_are_told() -> None:
    files = {
        "a.py": "def open_lock(wait):\n    return Lock(seconds=30)\n",
        "b.py": "def shut_lock(wait):\n    return Lock(seconds=40)\n",
    }
    found = asked("how many seconds does the lock wait", files)
    assert "seconds=30" in found[0].text
    assert "seconds=40" in together(found[0], companions(found[0], found)).text
    found = asked("how many seconds does open_lock wait", files)
    assert "seconds=40" not in together(found[0], companions(found[0], found)).text


def test_behind_another_answer_a_place_is_printed_without_the_lines_around_it() -> None:
    [first, *_] = asked("default encoding of Pool?")
    head = 'def __init__(self, blocks: int = DEFAULT_BLOCKS, encoding: str = "utf-8") -> None:'
    assert first.short == f"pool.py:16: Pool.__init__\n{head}"


def test_what_the_whole_workspace_is_called_says_little_of_a_place_in_it() -> None:
    files = {
        "a.py": "def kettle():\n    return 'kettle kettle'\n",
        "b.py": "def steam():\n    return Pipe(wait=40)\n",
    }
    found = [SourceFile(path, text, {"path": path, "root": "kettle-2.1"}, 1.0) for path, text in files.items()]
    [first, *_] = source_lines("which number does kettle use for steam", found, SCORER)
    assert first.text.startswith("b.py")
    found = [SourceFile(path, text, {"path": path, "root": "pipes"}, 1.0) for path, text in files.items()]
    assert source_lines("which number does kettle use for steam", found, SCORER)[0].text.startswith("a.py")


def test_whether_something_is_on_by_default_is_answered_by_a_truth_value() -> None:
    files = {"a.py": "def walk(links: bool = False):\n    links_dir = 'links by default'\n    return open_links(links)\n"}
    assert "links: bool = False" in asked("Does walk follow links by default?", files)[0].text


def test_no_line_is_told_twice() -> None:
    [first, *_] = asked("what does drain do with the blocks of the pool", {"pool.py": POOL})
    lines = [line.strip() for line in first.text.splitlines()]
    assert len(lines) == len(set(lines))


def test_code_that_is_kept_twice_is_one_answer() -> None:
    twins = {
        "sync/pool.py": TWIN.format(name="", head="", call=""),
        "aio/pool.py": TWIN.format(name="Async", head="async ", call="await "),
    }
    found = asked("After how many seconds does the timeout of the lock end?", twins)
    assert sum("acquire(timeout=30)" in candidate.text for candidate in found) == 1


def test_a_name_with_a_digit_is_no_figure() -> None:
    files = {"http11.py": "import h11\n\nh11.start()\n", "pyproject.toml": 'dependencies = [\n    "h11>=0.16",\n]\n'}
    [first, *_] = asked("It depends on h11 - from which version on?", files)
    assert "0.16" in first.text


def found_in(question: str, text: str) -> list[AnswerCandidate]:
    return source_lines(question, [SourceFile("pump.py", text, {"path": "pump.py"}, 1.0)], SCORER)


COMMENTED = '''\
class Pump:
    """Moves water."""

    # We do not simply call stop() here, since it
    # waits for the valve, and a closed valve never
    # answers.
    def drain(self) -> None:
        self.stop_at_once()
        self.stop()
'''


def test_why_something_is_so_a_comment_says_and_all_of_it_is_told() -> None:
    best = found_in("Why does drain not simply call stop()?", COMMENTED)[0]
    assert "We do not simply call stop()" in best.text
    assert "answers." in best.text


def test_a_class_is_told_with_its_reason_where_its_bases_and_why_are_asked() -> None:
    text = 'class PumpWarning(UserWarning):\n    """Unlike others it is shown by default."""\n'
    best = found_in("What is PumpWarning a subclass of, and why?", text)[0]
    assert "class PumpWarning(UserWarning)" in best.text
    assert "it is shown by default" in best.text


LONG = (
    "def run(\n    app,\n"
    + "".join(f"    option_{n}: str = 'a rather long default, number {n}',\n" for n in range(14))
    + "    backlog: int = 2048,\n):\n    serve(app, backlog)\n"
)


def test_of_a_head_that_nobody_reads_the_parameter_that_is_asked_for_is_told() -> None:
    best = next(c for c in found_in("How long is the backlog by default?", LONG) if "2048" in c.text)
    assert best.text.splitlines()[1:] == ["def run( … backlog: int = 2048, …"]


@pytest.mark.parametrize(
    ("question", "text", "lacks"),
    [
        ("How many tanks does the pump fill?", "def fill(tanks):\n    pump_all(tanks)\n", True),
        ("How many tanks does the pump fill?", "TANKS_OF_PUMP = 4\n", False),
        ("Does the pump run dry by default?", "def run_dry(pump):\n    pump.start()\n", True),
        ("Does the pump run dry by default?", "pump_run_dry = False\n", False),
    ],
)
def test_a_place_says_whether_it_shows_a_value_of_the_type_that_is_asked_for(question: str, text: str, lacks: bool) -> None:
    assert found_in(question, text)[0].lacks_value is lacks


def test_a_message_that_the_question_quotes_leads_to_where_it_stands() -> None:
    text = (
        "def check(pump):\n    # a pump has a valve, and its valve must be open\n    open_valve(pump)\n"
        "def start(state):\n    raise DryRun(f'no water in {state} of it')\n"
    )
    best = found_in('Our pump says "no water in ... of it" when its valve must open. Which exception?', text)[0]
    assert "DryRun" in best.text


def test_a_comment_within_a_condition_is_no_value() -> None:
    text = "let pumpPort = '9229';\nif (\n  pump &&\n  // e.g. --pump=1234, the port of the pump\n  port\n) {\n  run();\n}\n"
    best = found_in("which port does the pump get by default", text)[0]
    assert best.citation is not None
    assert best.citation.line == 1


def test_of_many_decorators_the_one_that_is_asked_for_is_told_whole() -> None:
    options = "".join(f'@option(\n    "--pump-{n}",\n    help="what is of no use here, number {n}",\n)\n' for n in range(8))
    text = options + '@option(\n    "--dry",\n    help="run the valve without water",\n)\ndef start(dry):\n    run(dry)\n'
    told = next(c.text for c in found_in("run the valve without water: which option?", text) if "--dry" in c.text)
    assert '"--dry", help="run the valve without water"' in told
    assert "--pump-3" not in told
