"""Questions about documentation: what a heading or a term stands for, how something is done, what holds where nothing is said,
how much is allowed, since when, what happens if. A page that is named is read, and pages are listed.
"""

from __future__ import annotations

import random
import re

from portico_engine.tune.data.sources.own_servers.asked import QUERY, Asked, Finding, asked
from portico_engine.tune.data.sources.own_servers.phrases import phrases
from portico_engine.tune.data.sources.own_servers.sentences import reworded
from portico_engine.tune.data.sources.own_servers.workspace import Workspace

_EVENLY = 60  # topics of a kind, from which on it is asked about as often as any other
_LISTED, _READ, _OF_CODE = 0.03, 0.06, 0.05  # shares of the questions


def about_docs(workspace: Workspace, rng: random.Random) -> Asked | None:
    """None: the workspace has no documentation."""
    if not workspace.topics:
        return None
    draw = rng.random()
    if draw < _LISTED:
        return asked(rng.choice(phrases("docs")["list"]), "docs__list", {}, rng, None, "docs")
    if draw < _LISTED + _READ:
        page = rng.choice(workspace.topics).page
        return asked(rng.choice(phrases("docs")["page"]).format(page), "docs__read", {"path": page}, rng, Finding(page), "docs")
    if draw < _LISTED + _READ + _OF_CODE and workspace.symbols:
        said = re.sub(r"_+", " ", rng.choice(workspace.symbols).name.strip("_"))
        return asked(rng.choice(phrases("docs")["of code"]).format(said), "docs__search", {"query": QUERY}, rng, None, "docs")
    return _told(workspace, rng)


def _told(workspace: Workspace, rng: random.Random) -> Asked:
    by_kind = workspace.topics_by_kind
    kinds = sorted(by_kind)
    topic = rng.choice(by_kind[rng.choices(kinds, [min(len(by_kind[kind]), _EVENLY) for kind in kinds])[0]])
    said = topic.said
    if topic.kind == "heading" and rng.random() < 0.8 and not said[:2].isupper():
        said = said[:1].lower() + said[1:]
    if topic.kind in ("aim", "case", "subject"):
        said = reworded(said, rng)
    question = rng.choice(phrases("docs")[topic.kind]).format(said)
    finding = Finding(topic.page, 0, topic.text)
    return asked(question, "docs__search", {"query": QUERY}, rng, finding, "docs")
