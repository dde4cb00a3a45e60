"""How near a question is to each tool's definition: static embeddings, in three readings of it.

A definition's vectors are kept as long as it is asked about. It weighs nothing against anything.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from portico_engine import Tool
from portico_gateway.guidance.schema_views import variants
from portico_gateway.guidance.stemming import spaced
from portico_gateway.guidance.tool_retrieval import TextEmbedding

Floats = npt.NDArray[np.float32]
MOST_KEPT = 2_048  # definitions


class DefinitionSimilarity:
    """Cosines of questions with tools. Not thread-safe beyond what a dict is: two threads may embed the same tool twice."""

    def __init__(self, embed: TextEmbedding) -> None:
        self._embed = embed
        self._known: OrderedDict[tuple[str, str, str], Floats] = OrderedDict()

    def of(self, tools: Sequence[Tool], question: str) -> list[float]:
        """For each tool the mean cosine of its readings with the question."""
        vector = self._embed([question])[0]
        return [float((self._vectors(tool) @ vector).mean()) for tool in tools]

    def knows(self, tool: Tool) -> bool:
        """Are its definition's vectors kept?"""
        return (tool.name, tool.description, tool.schema_text) in self._known

    def _vectors(self, tool: Tool) -> Floats:
        key = (tool.name, tool.description, tool.schema_text)
        vectors = self._known.pop(key, None)
        if vectors is None:
            vectors = np.asarray(self._embed(readings(tool)), np.float32)
        self._known[key] = vectors
        while len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)
        return vectors


def readings(tool: Tool) -> list[str]:
    """The definition as texts: name and description, those with the parameters' names, those with what is said about them."""
    properties: Mapping[str, object] = {
        name: node
        for view in variants(tool.parameters, tool.parameters)
        for name, node in (view.get("properties") or {}).items()
    }
    said = f"{spaced(tool.name)}: {tool.description}"
    described = [
        str(node["description"]) for node in properties.values() if isinstance(node, Mapping) and "description" in node
    ]
    return [said, f"{said} {' '.join(map(spaced, properties))}", f"{said} {' '.join(described)}"]
