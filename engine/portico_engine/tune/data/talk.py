"""Ordinary turns of people who want no tool, so that an adapter can be held to what its base says to them.

It owns how they are put; answers are the base's own, which nobody wrote to be learned.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from portico_engine.tune.data.word_lists import WORDS

_TURNS = (
    "What is {topic}?", "Explain {topic} to a child.", "Tell me more of {topic}.", "Why is {topic} of use?",
    "Write two sentences about {topic}.", "Write a short poem about {place}.", "Who was {artist}?", "What is {element} for?",
    "How many moons has {planet}?", "Is {planet} larger than the Earth?", "What do people eat in {country}?",
    "Which language is spoken in {country}?", "What is the {word} of a thing?", "Use the word '{word}' in a sentence.",
    "What does '{word}' mean?", "Give me another word for '{word}'.", "How do I say 'thank you' in {language}?",
    "Translate 'see you tomorrow' into {language}.", "How is {dish} made?", "What goes well with {dish}?",
    "What is a good present for {first_name}?", "Hello, I'm {first_name}.", "My name is {first_name}. How are you?",
    "Good morning!", "Thank you, that helped.", "Can you help me?", "What can you do?", "I feel tired today.",
    "What happens in {month}?", "Name a song by {artist}.", "What is special about {city}?", "Describe {city} in one sentence.",
    "What is the weather like in {month} in {city}?", "What was {history}?", "When was {history}?",
    "Finish this: When {first_name} woke up",
    "Tell me a story about {first_name} and {artist}.", "What is the difference between {element} and {element}?",
    "List three facts about {country}.", "How far is it from {city} to {city}?", "What should I do against {symptom}?",
    "Give me a name for {product}.", "Write a slogan for {company}.", "Is {crop} healthy?", "How does {crop} grow?",
)  # fmt: skip
_TRIES = 20


def talk(rng: random.Random, count: int) -> Iterator[str]:
    """So many different turns, fewer where there aren't as many."""
    said: set[str] = set()
    for _ in range(_TRIES * count):
        if len(said) == count:
            return
        turn = rng.choice(_TURNS)
        while "{" in turn:
            kind = turn[turn.index("{") + 1 : turn.index("}")]
            turn = turn.replace(f"{{{kind}}}", rng.choice(WORDS[kind]), 1)
        if turn not in said:
            said.add(turn)
            yield turn
