from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from portico_gateway.agent.citations import Citation
from portico_gateway.agent.events import ToolCallFinished
from portico_gateway.agent.guided.answers.answer_generation import QuotedAnswer
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate
from portico_gateway.agent.guided.judging.search_features import (
    absent_words,
    known_words,
    of_information,
    of_names,
    of_others,
    of_words,
)
from portico_gateway.agent.judgement import Coverage
from portico_gateway.agent.rendered_results import RenderedResult
from portico_gateway.guidance.question import read_question
from portico_gateway.guidance.tool_retrieval import WordInformation, uninformed


def search(tool: str, **words: int) -> ToolCallFinished:
    return ToolCallFinished(tool, {"query": "?"}, RenderedResult("found", True, data={"hits": [], "words": words}), 0.1)


def answer(text: str, tool: str = "code__search", path: str = "pool.py", *, code: bool = True) -> QuotedAnswer:
    citation = Citation({"path": path}, path, 1, text)
    candidate = AnswerCandidate(text, citation, found=0.8 if code else None, fit=1.0 if code else None)
    return QuotedAnswer(text, candidate, (search(tool),))


def test_a_word_is_known_by_the_search_that_has_it_most() -> None:
    assert known_words([search("a", block=0, pool=2), search("b", Block=3)]) == {"block": 3, "pool": 2}


def test_a_word_is_absent_where_it_is_not_used_and_no_search_holds_it() -> None:
    calls = [search("a", encrypts=0, gzip=0, file=4), search("b", gzip=1, file=0)]
    assert absent_words(Coverage(used=("file",), unused=("Encrypts", "gzip", "unsearched")), calls) == ["Encrypts"]
    assert absent_words(Coverage(unused=("Encrypts",)), []) == []


def test_the_rarest_word_counts_most_whether_the_answer_has_it_or_not() -> None:
    calls = [search("code__search", pool=40, drained=2)]
    question = read_question("Where is the pool drained?")
    there, not_there = (of_words(question, answer(text), Coverage(), calls) for text in ("def drained():", "def pool():"))
    assert there["rare_words"] > not_there["rare_words"] > 0
    assert (there["rarest_word"], not_there["rarest_word"]) == (1.0, 0.0)


def test_a_word_that_is_not_used_counts_by_how_rare_it_is() -> None:
    question, calls = read_question("Where does the pool teleport?"), [search("code__search", pool=40, teleport=0)]
    rare, common, none = (
        of_words(question, answer("def fill():"), Coverage(unused=unused), calls)["rare_unused"]
        for unused in (("teleport", "pool"), ("pool",), ())
    )
    assert rare == 1.0 > common > none == 0.0


def test_searches_that_say_nothing_of_their_words_tell_nothing() -> None:
    found = of_words(read_question("Where is the pool?"), answer("pool"), Coverage(unused=("pool",)), [search("code__search")])
    assert found == {"rare_words": 0.0, "rarest_word": 0.0, "rare_unused": 0.0}


@pytest.mark.parametrize(
    ("question", "there"),
    [
        ("What does close_all return?", 1.0),
        ("What does Pool.closeAll return?", 1.0),  # joined otherwise, and of what it is called by
        ("What do close_all and open_all return?", 0.0),
        ("What does it return?", 0.0),  # no name is spelled as code is
    ],
)
def test_a_place_in_code_has_every_name_of_the_question_or_not(question: str, there: float) -> None:
    text = "def close_all(self) -> int:"
    assert of_names(read_question(question), answer(text)) == {"names_there": there}
    assert of_names(read_question(question), answer(text, "docs__search", code=False)) == {"names_there": 0.0}


def test_the_workspaces_own_name_is_no_name_that_a_place_has() -> None:
    citation = Citation({"root": "pool2-1.4", "path": "src/pool2/a.py"}, "a.py", 1, "")
    code = QuotedAnswer("def fill():", AnswerCandidate("def fill():", citation, found=0.8, fit=1.0), (search("code__search"),))
    assert of_names(read_question("Where does pool2 teleport?"), code)["names_there"] == 0.0
    assert of_names(read_question("Where does pool2 call fill_up?"), code)["names_there"] == 0.0


def says(words: Sequence[str]) -> np.ndarray:
    """As embeddings have it: what anybody says little, a subject much."""
    return np.array([{"encrypt": 24.0, "brotli": 25.0}.get(word, 8.0) for word in words], np.float32)


def informed(question: str, answered: QuotedAnswer, used: Sequence[str], **held: int) -> dict[str, float]:
    coverage = Coverage(tuple(used), ())
    return of_information(read_question(question), answered, coverage, [search("code__search", **held)], says)


def test_a_word_counts_by_how_much_it_says_and_by_how_rare_it_is() -> None:
    question = "Where does the pool encrypt?"
    held = {"pool": 40, "encrypt": 1}
    topic, subject = (informed(question, answer("def x():"), [word], **held)["informed"] for word in ("pool", "encrypt"))
    assert subject > 0.85 > 0.15 > topic
    assert informed(question, answer("def x():"), ["pool"], **held)["uninformed"] > 0.7
    assert informed(question, answer("def x():"), ["pool", "encrypt"], **held)["uninformed"] == 0.0


def test_a_subject_that_nothing_holds_is_not_accounted_for_by_a_word_of_its_sense() -> None:
    question = "Which class unpacks brotli?"
    assert informed(question, answer("class Gzip: ..."), ["brotli", "class"], brotli=0, unpacks=0)["informed"] < 0.4
    assert informed(question, answer("class Brotli: ..."), ["brotli", "class"], brotli=0, unpacks=0)["informed"] > 0.6


def test_what_two_places_say_is_not_said_by_one() -> None:
    question = "Where does the pool encrypt?"
    parts = tuple(answer(text, path="a.py").candidate for text in ("def pool():", "def encrypt():"))
    both = replace(answer("def pool():\n\ndef encrypt():", path="a.py"), parts=tuple(part for part in parts if part))
    found = informed(question, both, ["pool", "encrypt"], pool=3, encrypt=3)
    assert found["informed"] < 0.8
    assert found["uninformed"] == 0.0


def test_another_search_disagrees_where_it_names_no_figure_of_the_answer() -> None:
    question = read_question("How many blocks has the pool of 7 by default?")
    code, documents = answer("blocks: int = 64"), answer("64 blocks", "docs__search", code=False)
    other = answer("a pool of 7", "docs__search", code=False)
    assert of_others(question, code, [documents])["disagreed"] == 0.0
    assert of_others(question, code, [other]) == {"disagreed": 1.0, "beside_code": 0.0}
    assert of_others(question, code, []) == {"disagreed": 0.0, "beside_code": 0.0}
    assert of_others(question, code, [code])["disagreed"] == 0.0  # the same search is no second opinion


def test_a_place_in_code_that_fits_speaks_against_an_answer_from_elsewhere() -> None:
    question = read_question("How many blocks?")
    assert of_others(question, answer("many", "docs__search", code=False), [answer("blocks = 64")])["beside_code"] == 0.8


def test_an_answer_to_a_long_question_is_no_surer_for_its_length() -> None:
    long = "Which pool " + " ".join(f"drains tank{i} slowly{i}" for i in range(60)) + "?"
    assert informed(long, answer("def pool():"), ["pool"], pool=3)["words"] == 1.5


def alike(words: Sequence[str]) -> npt.NDArray[np.float32]:
    """Every word says as much as another."""
    return np.full(len(words), 10.0, np.float32)


def open_share(question: str, *places: str, information: WordInformation = alike) -> dict[str, float]:
    """What is told of an answer with these places, all of whose words are accounted for at one of them or another."""
    parts = tuple(answer(place).candidate for place in places)
    told = replace(answer("\n\n".join(places)), parts=tuple(part for part in parts if part is not None))
    read = read_question(question)
    words = tuple(token.text for token in read.tokens if not token.function)
    return of_information(read, told, Coverage(used=words), [search("code__search")], information)


def test_of_one_thing_of_many_it_counts_what_no_one_place_accounts_for() -> None:
    apart, at_one = (
        open_share("Which loader caches templates?", *at)
        for at in (("loader", "caches templates"), ("loader caches templates", ""))
    )
    assert apart["one_open"] > 0.0 == at_one["one_open"]
    assert apart["name_open"] == 0.0  # no name is spelled as code is
    assert open_share("Which loader caches get_source?", "loader", "caches get_source")["name_open"] > 0.0
    assert open_share("Is the loader caching templates?", "loader", "caches templates")["one_open"] == 0.0
    assert open_share("How do I cache templates?", "cache", "templates")["one_open"] > 0.0
    strange = open_share("Which loader caches get_source?", "loader", "caches get_source", information=uninformed)
    assert (strange["one_open"], strange["name_open"]) == (0.0, 0.0)  # in another language no word may be known


def test_a_number_that_is_asked_for_stands_at_the_first_place_or_is_lacking() -> None:
    assert open_share("How many templates are cached?", "templates cached in 400", "")["lacks_number"] == 0.0
    assert open_share("How many templates are cached?", "pool.py:12: templates cached", "400")["lacks_number"] == 1.0
    assert open_share("Which templates are cached?", "templates cached", "")["lacks_number"] == 0.0


def test_an_askers_own_example_is_not_what_a_place_has_to_account_for() -> None:
    def informed(text: str) -> float:
        told = of_information(
            read_question(text), answer("def load(folder)"), Coverage(used=("load", "folder")), [], uninformed
        )
        return told["informed"]

    assert informed("Which folder does load('myapp') take?") == informed("Which folder does load() take?")
    assert informed("Which folder does load('folder') take?") >= informed("Which folder does load('myapp') take?")
    assert informed("Which folder of myapp does load take?") < informed("Which folder does load take?")


def test_what_sets_the_scene_weighs_less_where_nothing_accounts_for_it() -> None:
    calls = [search("code__search", nginx=0, headers=3, believe=4, putting=0)]
    scene = read_question("I am putting it behind nginx. Does it believe the headers?")
    plain = read_question("Does it believe the headers behind nginx, putting it so?")
    told = answer("believe headers")
    coverage = Coverage(used=("believe", "headers"), unused=("nginx", "putting"))
    aside, asked = (of_words(question, told, coverage, calls)["rare_unused"] for question in (scene, plain))
    assert aside == 0.5 < asked == 1.0
    known = lambda words: np.asarray([20.0 if word else 0.0 for word in words])  # noqa: E731
    aside, asked = (of_information(q, told, coverage, calls, known)["informed"] for q in (scene, plain))
    assert aside > asked
