from __future__ import annotations

import textwrap

from hypothesis import given
from hypothesis import strategies as st

from portico_gateway.agent.guided.extraction.documents.blocks import Block, blocks


def of(text: str) -> list[Block]:
    return blocks(textwrap.dedent(text).strip("\n"))


def test_what_stands_below_a_described_name_is_about_it() -> None:
    found = of("""
        .. py:data:: MAX_PARTS

            The most parts there may be.

            Default: ``1_000``

            .. versionadded:: 3.1

        .. py:data:: OTHER

            Something else.
    """)
    assert [(b.kind, b.text, b.names) for b in found] == [
        ("name", "MAX_PARTS", ()),
        ("paragraph", "The most parts there may be.", ("MAX_PARTS",)),
        ("paragraph", "Default: `1_000`", ("MAX_PARTS",)),
        ("paragraph", "Added in version 3.1", ("MAX_PARTS",)),
        ("name", "OTHER", ()),
        ("paragraph", "Something else.", ("OTHER",)),
    ]


def test_a_term_is_what_its_definition_is_about() -> None:
    found = of("""
        slotted classes
          A class without a dict.

        dict classes
          A class with one.
    """)
    assert found[1] == Block("paragraph", "A class without a dict.", ("slotted classes",))
    assert found[3].names == ("dict classes",)


def test_headings_of_markdown_and_rest_are_no_blocks_but_what_follows_is_about_them() -> None:
    assert of("# Install\n\nRun it.") == [Block("paragraph", "Run it.", ("Install",))]
    assert of("Install\n=======\n\nRun it.") == [Block("paragraph", "Run it.", ("Install",))]


def test_rows_of_every_kind_of_table_are_read_cell_by_cell() -> None:
    pipe = of("| Name | Means |\n|---|---|\n| `a` | first |\n| `b` | second |")
    grid = of(
        "+------+--------+\n| Name | Means  |\n+======+========+\n| ``a`` | first |\n|      | one    |\n+------+--------+"
    )
    simple = of("====== ======\n``a``  first\n``b``  second\n====== ======\n\nAfter it.")
    wide = of("| Name | Type | Default |\n|---|---|---|\n| size | int | 10 |")
    assert [(b.kind, b.text, b.header) for b in pipe] == [
        ("row", "`a`: first", "Name Means"),
        ("row", "`b`: second", "Name Means"),
    ]
    assert [b.text for b in grid] == ["`a`: first one"]
    assert [b.text for b in simple] == ["`a`: first", "`b`: second", "After it."]
    assert [b.text for b in wide] == ["size; Type: int; Default: 10"]


def test_code_stays_as_it_is_and_the_options_of_a_help_text_are_rows() -> None:
    found = of("""
        Run this::

            flask run
              --port 5000

        Then::

            Usage: tool [OPTIONS]

              --nl        Output newline-delimited JSON
              -t, --table  Output as a
                           formatted table
    """)
    assert found[:2] == [Block("paragraph", "Run this:"), Block("code", "flask run\n  --port 5000")]
    assert [b.text for b in found[3:]] == [
        "`--nl`: Output newline-delimited JSON",
        "`-t, --table`: Output as a formatted table",
    ]


def test_directives_of_myst_and_rest_that_show_nothing_are_left_out() -> None:
    found = of("""
        ```{toctree}
        one
        two
        ```
        (label)=
        ```{note}
        Mind this.
        ```
        .. image:: a.png
            :alt: nothing

        .. _target:

        :::{tip}
        And that.
        :::
    """)
    assert [b.text for b in found] == ["Mind this.", "And that."]


def test_a_passage_cut_inside_of_a_fence_begins_with_code() -> None:
    found = of("print(1)\n```\n\nAfter it.")
    assert found == [Block("code", "print(1)"), Block("paragraph", "After it.")]


def test_a_list_item_holds_the_lines_that_go_on_with_it() -> None:
    found = of("There are:\n\n- one that is\n  long\n- two\n\n1. first\n2. second")
    assert [(b.kind, b.text) for b in found[1:]] == [
        ("item", "one that is long"),
        ("item", "two"),
        ("item", "first"),
        ("item", "second"),
    ]


_LINES = st.sampled_from(
    [
        "",
        "text",
        "  text",
        "    more",
        "```",
        "```{note}",
        ":::",
        ".. note::",
        ".. code::",
        "+--+",
        "| a | b |",
        "- x",
        "# h",
        "====",
        "==== ====",
        "a::",
        ":field: x",
        ":param x: y",
        ">>> 1",
        "term",
        "~~~",
        "  --opt  what it does",
        "..",
        "%",
        "\t-",
    ]
)


@given(st.lists(_LINES, max_size=12))
def test_any_text_is_read_to_its_end(lines: list[str]) -> None:
    for block in blocks("\n".join(lines)):
        assert block.text.strip()


def test_a_help_text_cut_from_its_beginning_is_read_as_options() -> None:
    found = of("--analyze    Analyze the tables\n-t, --table  Output as a table\n")
    assert [b.text for b in found] == ["`--analyze`: Analyze the tables", "`-t, --table`: Output as a table"]


def test_what_a_page_does_not_show_is_no_text() -> None:
    readme = """
<p align="center">
  <a href="https://lamps.test"><picture>
    <source srcset="dark.svg">
  </picture></a>
</p>

Lamps are switched by [the hall][hall].

[hall]: https://lamps.test/hall "The hall"
[ci-url]: https://ci.test/lamps
"""
    assert [b.text for b in of(readme)] == ["Lamps are switched by the hall."]
