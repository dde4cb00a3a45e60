"""What tools of all servers have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from portico_servers.common.tools import READ_ONLY, read_only_tool, tool_error, tool_result, without_titles


def find(query: Annotated[str, Field(min_length=1)], title: str = "") -> str:
    return query + title


def test_a_read_only_tool_has_its_functions_parameters_and_no_generated_titles() -> None:
    tool = read_only_tool(find, title="Find it", description="Find what is sought.")
    assert (tool.name, tool.title, tool.description, tool.annotations) == ("find", "Find it", "Find what is sought.", READ_ONLY)
    assert tool.parameters["properties"] == {
        "query": {"type": "string", "minLength": 1},
        "title": {"type": "string", "default": ""},
    }
    assert "title" not in tool.parameters


def test_a_schema_keeps_the_order_of_its_keys_and_is_not_changed_in_place() -> None:
    schema = {"properties": {"a": {"title": "A", "type": "string"}}, "title": "fArguments", "type": "object"}
    assert list(without_titles(schema)) == ["properties", "type"]
    assert schema["title"] == "fArguments"
    assert without_titles({"title": "fArguments", "type": "object"}) == {"type": "object"}


def test_a_result_has_text_and_structure_and_an_error_its_very_words() -> None:
    result = tool_result("2 rows", {"rows": 2})
    assert (result.content[0].text, result.structured_content, result.is_error) == ("2 rows", {"rows": 2}, False)  # type: ignore[union-attr]
    error = tool_error("no table 'x'")
    assert (error.content[0].text, error.structured_content, error.is_error) == ("no table 'x'", None, True)  # type: ignore[union-attr]
