"""How people ask about code, documentation and data: forms of questions by what they are answered with, and rougher ones."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

Phrases = Mapping[str, Sequence[str]]

ROUGH_SHARE = 0.4  # of the questions, that are written in haste

CODE: Phrases = {  # by tool
    "find_symbol": (
        "Where is {name} defined?",
        "where's {name}",
        "{name}: where is it defined?",
        "Show me the definition of {name}.",
        "Find the {kind} {name}",
        "What does {name} do?",
        "In which file is {name}?",
        "what is the signature of {name}",
        "Which parameters does {name} take?",
        "jump to {name}",
        "Where do we define {name}?",
        "What does {name} inherit from?",
        "open the {kind} called {name}",
        "Which line does {name} start on?",
    ),
    "find_references": (
        "Who calls {name}?",
        "Where is {name} used?",
        "usages of {name}",
        "What uses {name}?",
        "which functions call {name}",
        "Find all references to {name}.",
        "Is {name} used anywhere?",
        "callers of {name}?",
        "Where do we use {name}?",
        "From where is {name} called?",
    ),
    "outline": (
        "What is in {file}?",
        "Outline of {file}",
        "Which functions does {file} define?",
        "what does {file} contain",
        "List the classes of {file}.",
        "Give me an overview of {file}",
        "which names are defined in {file}?",
    ),
    "search": (
        "Which function does the {words}?",
        "Where is the {words} implemented?",
        "how does the code handle {words}",
        "Find the code for {words}.",
        "Which {kind} takes care of {words}?",
        "where in the code is {words} set?",
        "What happens in the code on {words}?",
        "Which error is raised when {words} fails?",
        "default value of {words} in the code",
        "Which constant holds the {words}?",
        "Where are {words} checked?",
        "what does the implementation of {words} return?",
        "show me how {words} is done",
        "Which method sets the {words}?",
        "Which message is logged for {words}?",
        "Where does {words} get its value from?",
        "Which exception does {words} raise?",
        "the code that reads {words}",
    ),
}
DOCS: Phrases = {  # by what is asked about
    "heading": (
        "What do the docs say about {}?",
        "How does {} work?",
        "Is there a guide to {}?",
        "explain {}",
        "Where can I read about {}?",
        "{}: how do I do that?",
        "what should I know about {}",
        "What does the manual say on {}?",
        "tell me about {}",
        "How do I go about {}?",
        "documentation of {}",
        "What is meant by {}?",
        "When would I need {}?",
        "Can you explain {}?",
        "what are the rules for {}",
        "Which steps does {} take?",
        "anything in the guide about {}?",
        "why {}?",
        "What are the requirements for {}?",
        "how to {}",
    ),
    "term": (
        "What does {} do?",
        "What is {} for?",
        "How do I use {}?",
        "when should I use {}",
        "What is the default of {}?",
        "Which values may {} have?",
        "Can I turn {} off?",
        "What happens without {}?",
        "how do i set {}",
        "Is {} required?",
        "What do the docs say about {}?",
        "difference between {} and the default",
        "What does the manual recommend instead of {}?",
        "Where do I put {}?",
        "Since which version is there {}?",
        "what happens if I leave {} out?",
        "explain {} to me",
        "Which command takes {}?",
    ),
}
DATA: Phrases = {
    "count": (
        "How many {table} are there?",
        "number of {table}",
        "How many {table} do we have",
        "count the {table}",
        "{table}: how many?",
        "What's the total number of {table}?",
    ),
    "list": ("List all {table}.", "Show me the {table}", "which {table} do we have?", "all {table} please", "name the {table}"),
    "average": (
        "What is the average {column} of the {table}?",
        "average {column} of our {table}",
        "mean {column} over all {table}",
        "on average, what {column} do {table} have?",
    ),
    "total": (
        "What is the total {column} of all {table}?",
        "sum of {column} over the {table}",
        "total {column} of {table}",
        "Add up the {column} of all {table}.",
    ),
    "most": (
        "Which of the {table} has the highest {column}?",
        "{table} with the most {column}",
        "highest {column} among {table}?",
        "Who or what has the largest {column} in {table}?",
    ),
    "least": (
        "Which of the {table} has the lowest {column}?",
        "{table} with the least {column}",
        "smallest {column} in {table}",
    ),
    "newest": (
        "Which is the latest of the {table} by {column}?",
        "newest {table} by {column}",
        "most recent {column} of the {table}?",
    ),
    "oldest": (
        "Which is the earliest of the {table} by {column}?",
        "oldest {table} by {column}",
        "first {column} of the {table}?",
    ),
    "where": (
        "How many {table} have {column} {value}?",
        "number of {table} with {column} {value}",
        "How many {table} are {value}?",
        "count {table} where {column} is {value}",
    ),
    "value": (
        "What is the {column} of {value}?",
        "{column} of {value}?",
        "Which {column} does {value} have?",
        "{value}: {column}?",
        "tell me {value}'s {column}",
    ),
    "grouped": (
        "How many {table} are there per {column}?",
        "{table} by {column}, counted",
        "number of {table} for each {column}",
    ),
    "tables": ("Which tables are there?", "list the tables of the database", "what tables does the database have"),
    "describe": ("Which columns does {table} have?", "describe the table {table}", "columns of {table}?"),
}


def roughly(question: str, rng: random.Random) -> str:
    """The question in haste: without its mark or its capital, in a longer sentence, or shouted."""
    plain = question.rstrip("?. ")
    lower = plain[:1].lower() + plain[1:]
    return rng.choice((plain, lower, lower, f"{plain}??", f"hey, {lower}?", f"{plain}, please", f"I need to know: {lower}"))
