from __future__ import annotations

from portico_gateway.guidance.schema_views import option_texts


def test_options_come_from_enums_and_consts_at_any_depth_with_their_titles() -> None:
    schema = {"properties": {"a": {"oneOf": [{"const": "count", "title": "how many"}]}, "b": {"items": {"enum": ["x", 3]}}}}
    assert option_texts(schema) == {"count": "how many", "x": ""}
