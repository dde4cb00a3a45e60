"""Invented people, places and words for the generated databases, and a random source that draws from them.

Nothing here is copied from a sample database: first and last names are common ones, paired by chance.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Sequence

FIRST = (
    "Aisha Albin Amara Anton Beatriz Bilal Carla Chidi Dagny Daria Davit Elin Emeka Eskil Farah Fabio Freya Goran Greta Hana "
    "Hector Ilse Imran Ingrid Jamal Jonas Kaito Katya Lars Leila Luca Maeve Malik Marta Mei Nadia Nils Noor Olga Omar Paulo "
    "Petra Quinn Rafael Rhea Runa Samir Signe Soren Tamar Tarik Tess Ulla Viggo Vera Wanda Xavier Yara Yusuf Zelda"
).split()
LAST = (
    "Abbas Adeyemi Andersson Baptista Becker Bianchi Brandao Cermak Chen Dahlberg Dubois Eklund Farouk Fischer Galli Gruber "
    "Haddad Halvorsen Horvat Ibrahim Jansen Kapoor Keller Kimura Kowalski Larsen Lindqvist Lopes Mancini Mbeki Meyer Moreau "
    "Nakata Novak Okafor Olsen Pereira Petrov Quist Rahman Ricci Sato Schulz Silvestri Soto Svoboda Tanaka Torres Umarov "
    "Vasquez Vogel Wagner Weiss Wojcik Yilmaz Zeman"
).split()
CITIES = {
    "Brazil": ("Recife", "Curitiba", "Santos"),
    "Canada": ("Halifax", "Regina", "Montreal"),
    "France": ("Lille", "Nantes", "Dijon"),
    "Germany": ("Bremen", "Leipzig", "Mainz"),
    "India": ("Pune", "Jaipur", "Kochi"),
    "Japan": ("Osaka", "Sapporo", "Nagoya"),
    "Norway": ("Bergen", "Tromso"),
    "Portugal": ("Porto", "Braga"),
    "Spain": ("Bilbao", "Cadiz", "Girona"),
    "USA": ("Boise", "Tucson", "Portland", "Buffalo"),
}
ADJECTIVES = (
    "Amber Bitter Broken Burning Copper Crimson Distant Electric Empty Falling Frozen Gentle Golden Hidden Hollow Iron Lonely "
    "Midnight Northern Paper Quiet Restless Scarlet Secret Silent Silver Sleeping Velvet Wandering Winter"
).split()
NOUNS = (
    "Anchor Bridge Canyon Carousel Comet Compass Desert Engine Feather Garden Harbor Horizon Island Kingdom Lantern Letter "
    "Maze Meadow Mirror Mountain Orchard Parade River Satellite Shadow Signal Station Storm Tower Voyage"
).split()


class Draw(random.Random):
    """A seeded source: the same values on every machine and Python."""

    def person(self) -> tuple[str, str]:
        return self.choice(FIRST), self.choice(LAST)

    def place(self) -> tuple[str, str]:
        """A city and its country."""
        country = self.choice(list(CITIES))
        return self.choice(CITIES[country]), country

    def day(self, first: str, last: str) -> str:
        start = datetime.date.fromisoformat(first)
        return (start + datetime.timedelta(self.randrange((datetime.date.fromisoformat(last) - start).days + 1))).isoformat()

    def weighted(self, values: Sequence[str], weights: Sequence[int]) -> str:
        return self.choices(values, weights)[0]


def later(day: str, days: int) -> str:
    return (datetime.date.fromisoformat(day) + datetime.timedelta(days)).isoformat()


def titles(draw: Draw, count: int) -> list[str]:
    """So many different titles of two words."""
    every = [f"{adjective} {noun}" for adjective in ADJECTIVES for noun in NOUNS]
    if count > len(every):
        every += [f"{title} {end}" for end in ("Nights", "Again") for title in every]
    return draw.sample(every, count)
