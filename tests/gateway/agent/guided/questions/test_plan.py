from __future__ import annotations

import pytest

from portico_gateway.agent.guided.questions.plan import Part, asks_to_know, head_noun, joined, parts, resolved


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("How many orders were shipped in March?", ["How many orders were shipped in March?"]),
        (
            "Find the author with the most books, then list their titles.",
            ["Find the author with the most books", "list their titles."],
        ),
        ("Take the newest order. Which city is it sent to?", ["Take the newest order.", "Which city is it sent to?"]),
        (
            "Who leads the Osprey team, and when was that person hired?",
            ["Who leads the Osprey team", "when was that person hired?"],
        ),
        ("Where is the parser? How many tables are there?", ["Where is the parser?", "How many tables are there?"]),
        ("number of actors? number of customers?", ["number of actors?", "number of customers?"]),
        ("Which lamp is oldest, and in which room is it?", ["Which lamp is oldest", "in which room is it?"]),
        (
            "What is the height of K2? And the depth of Lake Como?",
            ["What is the height of K2?", "What is the depth of Lake Como?"],
        ),
        (
            "As of which release is the flag gone, and when was it announced?",
            ["As of which release is the flag gone", "when was it announced?"],
        ),
        (
            "I write about lamps, e.g. old ones. Which one is oldest, and in which room does it stand?",
            ["I write about lamps, e.g. old ones. Which one is oldest", "in which room does it stand?"],
        ),
        (
            "For my notes: which lamp is oldest, and who bought it?",
            ["For my notes: which lamp is oldest", "who bought it?"],
        ),
        ("How many lamps are in 'A', and how many are in 'B'?", ["How many lamps are in 'A'", "how many lamps are in 'B'?"]),
        ("How many lamps and how many shades are there?", ["How many lamps", "how many shades are there?"]),
        (
            "Find out who owns the lamp and when that person moved in",
            ["Find out who owns the lamp", "when that person moved in"],
        ),
    ],
)
def test_a_question_is_taken_apart_where_it_asks_for_one_thing_after_the_other(question: str, found: list[str]) -> None:
    assert [part.text for part in parts(question)] == found


@pytest.mark.parametrize(
    "question",
    [
        "Find the page about setting up, which option makes a backup?",  # the first sets the scene
        "Which films are longer than 3 hours? Just count them.",  # of all of them
        "Are there lamps without a shade? If so, what's their number?",
        "Are there lamps without a shade? I need the number.",
        "I bought 3 tickets at 47.50 each, what is that together?",  # the first asks nothing
        "How many books are there in French, and how many in Spanish?",  # of what, only the first says
        "how many orders went to Canada, and how many Portugal?",
        "Tom, Dick and Harry: who is the oldest?",
        "How many are on 'A', and how many are on 'B'?",
        "a, which b? " * 400,
        "When was the lamp repaired, which date?",  # the second says what kind of thing is asked for
        "Where does the lamp stand? name of the room",
        "How do I dim the lamp? Name the switch.",
        "Is there a switch for the lamp? What's it called?",
        "Does anybody own more than four lamps? How many people do?",
        "Are there lamps that nobody owns? If so, what's their number?",
        "How come the lamp is dark? From which socket does it get its power?",
        "When the lamp goes out, what does it cost?",  # a condition
        "How many lamps are there, when nobody has bought one?",
        "We only have an hour. How many lamps are there, i.e. which are ours?",
        "Tell me in which room the lamp stands, and in which one the table does.",
    ],
)
def test_a_question_that_asks_one_thing_stays_whole(question: str) -> None:
    assert parts(question) == [Part(question)]


@pytest.mark.parametrize(
    ("before", "text", "expected"),
    [
        (
            "Take the category with the fewest films",
            "How many of its films are new?",
            "How many of the category Drama's films are new?",
        ),
        ("Who leads the team", "when was that person hired?", "when was the person Drama hired?"),
        ("Which class is the base", "what does that one inherit from?", "what does Drama inherit from?"),
        ("Find the artist with the most albums", "list those albums.", "list the albums of the artist Drama."),
        ("Which exception is it", "what is that exception's parent?", "what is the exception Drama's parent?"),
    ],
)
def test_what_was_found_takes_the_place_of_the_word_that_refers_to_it(before: str, text: str, expected: str) -> None:
    assert resolved(Part(text, True), "Drama", head_noun(before)) == expected


def test_answers_of_parts_are_lines_each_once() -> None:
    assert joined(["one", " two ", "one", ""]) == "one\ntwo"


@pytest.mark.parametrize(
    ("question", "knows"),
    [
        ("Which orders are late?", True),
        ("name of the dog?", True),
        ("how many are there", True),
        ("Can you delete the draft?", False),
        ("add a note about milk", False),
    ],
)
def test_a_question_is_told_from_a_request(question: str, knows: bool) -> None:
    assert asks_to_know(question) is knows


def test_what_only_asks_once_more_is_no_part() -> None:
    assert parts("Which route is the hardest? Name it.") == [Part("Which route is the hardest? Name it.")]


def test_the_films_of_what_was_found_are_a_part_of_their_own() -> None:
    assert [part.refers for part in parts("Take the category with the fewest films. How many of its films are new?")] == [
        False,
        True,
    ]
