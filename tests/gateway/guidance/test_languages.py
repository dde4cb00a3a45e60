from __future__ import annotations

import pytest

from portico_gateway.guidance.languages.in_english import in_english
from portico_gateway.guidance.languages.question_language import question_language


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


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("Wie viele Kunden haben mehr als 3 Bestellungen?", "German"),
        ("Combien de commandes ont été livrées en mars ?", "French"),
        ("¿Cuántos clientes viven en Lima?", "Spanish"),
        ("Quantos alunos estão na lista?", "Portuguese"),
        ("Quanti libri sono in italiano?", "Italian"),
        ("標高が一番低い場所はどこですか？", "Japanese"),
        ("哪个函数抛出异常？", "Chinese"),
        ("가장 비싼 제품은 무엇입니까?", "Korean"),
        ("Сколько заказов было отменено?", "a language in Cyrillic script"),
        ("כמה הזמנות בוטלו?", "Hebrew"),
    ],
)
def test_a_question_s_language_is_known_by_its_script_or_its_words(question: str, language: str) -> None:
    assert question_language(question) == language


@pytest.mark.parametrize(
    "question",
    [
        "How many orders were cancelled?",
        "On PyPy there's one more implicit first parameter name than on CPython, namely?",
        'How often does "標高が一番低い" stand in notes.md?',
        "Who wrote Война и мир, and how many copies of that book do the libraries of our town have in all?",
        "",
    ],
)
def test_english_with_foreign_names_in_it_is_english(question: str) -> None:
    assert question_language(question) is None


@pytest.mark.parametrize(
    ("question", "english"),
    [
        ("Wie viele Bücher hat der Autor 'Lem'?", "how many books has the author 'Lem'?"),
        ("¿Qué cliente tiene más de 12 pedidos?", "what customer has more than 12 orders ?"),
        ("Montre le fichier notes/plan.txt", "show the file notes/plan.txt"),
        ("Quale prodotto costa di più?", "which product costs the most ?"),
    ],
)
def test_requests_and_the_words_of_everyday_tables_are_known(question: str, english: str) -> None:
    assert in_english(question) == english
