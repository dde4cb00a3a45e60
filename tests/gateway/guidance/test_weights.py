from __future__ import annotations

from collections.abc import Sequence
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import numpy.typing as npt
import pytest

from portico_engine import Tool
from portico_gateway.guidance.argument_priors import ArgumentPriors
from portico_gateway.guidance.question import read_question
from portico_gateway.guidance.tool_retrieval import ToolRetriever
from portico_gateway.guidance.weights import KeyWeights, RetrievalWeights, StrengthWeights, Weights

TOOL = Tool("t", "Trains.", {"properties": {"name": {"type": "string"}, "how": {"enum": ["up", "down"]}}, "required": ["name"]})
OTHER = Tool("o", "Boats.", {"properties": {}})


def nothing(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.zeros((len(texts), 4), np.float32)


def test_one_field_is_tuned_at_construction_and_nothing_else_changes() -> None:
    question = read_question("Which trains are late?")
    tuned = replace(Weights(), keys=replace(KeyWeights(), optional=-1.0))
    before, after = (ArgumentPriors(nothing, weights).prior(TOOL, question) for weights in (Weights(), tuned))
    assert (before.keys[""]["how"], after.keys[""]["how"]) == (-9.0, -1.0)
    assert (before.values, before.keys[""]["name"]) == (after.values, after.keys[""]["name"])


def test_retrieval_is_weighed_by_what_it_is_given() -> None:
    tuned = replace(Weights(), retrieval=RetrievalWeights(server_word=0.0, tool_word=0.0))
    servers = {"t": "a", "o": "b"}
    by_default, by_tuned = (ToolRetriever([OTHER, TOOL], servers, {}, nothing, w).rank("trains") for w in (Weights(), tuned))
    assert [r.tool.name for r in by_default] == ["t", "o"]
    assert [r.weight for r in by_tuned] == [0.0, 0.0]


def test_the_strength_goes_by_the_models_size() -> None:
    strength = StrengthWeights(small=3.0, large=1.0, small_below=100)
    assert (strength.of(99), strength.of(100)) == (3.0, 1.0)


def test_no_weight_can_be_changed_in_place() -> None:
    for group in fields(Weights):
        one = getattr(Weights(), group.name)
        with pytest.raises(FrozenInstanceError):
            setattr(one, fields(one)[0].name, 0.0)
