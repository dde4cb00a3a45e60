from __future__ import annotations

import pytest

from portico_gateway.guidance.other_languages import in_english


@pytest.mark.parametrize(
    ("question", "english"),
    [
        ("Wie viele Blöcke hat BlockPool standardmäßig?", "how many Blöcke has BlockPool by default ?"),
        ("Quelle exception est levée par pool.take ?", "which exception is raised by pool.take ?"),
        ("¿Cuál es el valor por defecto de max_blocks?", "which is the value by default of max_blocks?"),
        (
            "Qual é o valor padrão de max_blocks no arquivo pool.py?",
            "which is the value padrão of max_blocks in the file pool.py?",
        ),
        ("Quali metodi ha la classe BlockPool?", "which methods has the class BlockPool?"),
    ],
)
def test_known_words_are_put_into_english_and_the_rest_stays(question: str, english: str) -> None:
    assert in_english(question) == english


@pytest.mark.parametrize("question", ["Wo ist `die Funktion` definiert?", 'Wo ist "die Funktion" definiert?'])
def test_what_is_quoted_stays_as_it_is(question: str) -> None:
    assert "die Funktion" in (in_english(question) or "")


@pytest.mark.parametrize(
    "question",
    [
        "Where is the block pool defined?",
        "What does die() do in error.py?",
        "How many customers come from São Paulo or La Paz?",
        "max_age",
        "e8a86a6eaf31ff7f",
        "",
        "標高が一番低い場所はどこですか？",
    ],
)
def test_english_and_what_is_in_none_of_the_languages_is_left_alone(question: str) -> None:
    assert in_english(question) is None
