"""HTML: the main content as text, each heading and object under the id that a browser opens."""

from __future__ import annotations

import pytest

from portico_servers.docs.errors import ReadError
from portico_servers.docs.ingest.readers.html import read_html

PAGE = """<!doctype html><html><head><title>Pack - Docs</title><script>var stolen = 1</script></head><body>
<nav>Home <a href="x">Elsewhere</a></nav>
<div class="sphinxsidebar">Sidebar words</div>
<main>
<section id="packing"><span id="index-0"></span><h1>Packing<a class="headerlink" href="#packing">¶</a></h1>
<p>Some <b>bold</b> and <code>code</code>.</p>
<pre>x = 1
  y = 2</pre>
<dl class="py class"><dt id="box.Box"><code>class box.Box(size)</code></dt>
<dd><p>A box.</p><dl><dt id="box.Box.open"><code>open()</code></dt><dd><p>Open it.</p></dd></dl></dd></dl>
<p>After the box.</p><span id="index-1"></span>
<h2 id="lists">Lists</h2><ul><li>one</li><li>two <ul><li>deep</li></ul></li></ul>
<table><tr><th>Key</th><th>Value</th></tr><tr><td>a</td><td>1</td></tr></table>
<h2><a name="old"></a>Old style</h2><p>end</p>
</section></main><footer>Copyright</footer></body></html>"""


def test_navigation_scripts_and_permalinks_are_left_out() -> None:
    page = read_html("p.html", PAGE)
    for noise in ("Elsewhere", "Sidebar", "stolen", "Copyright", "¶"):
        assert noise not in page.text
    assert page.title == "Packing"


def test_headings_and_objects_are_sections_under_their_ids() -> None:
    page = read_html("p.html", PAGE)
    lines = page.text.split("\n")
    assert [(s.anchor, s.level, lines[s.line - 1].strip()) for s in page.sections] == [
        ("packing", 1, "# Packing"),
        ("box.Box", 2, "**class box.Box(size)**"),
        ("box.Box.open", 3, "**open()**"),
        ("lists", 2, "## Lists"),
        ("old", 2, "## Old style"),
    ]


def test_an_object_ends_with_its_description_and_methods_are_named_in_full() -> None:
    page = read_html("p.html", PAGE)
    box, method = page.sections[1], page.sections[2]
    assert "After the box." not in "\n".join(page.text.split("\n")[box.line - 1 : box.end])
    assert "Open it." in "\n".join(page.text.split("\n")[method.line - 1 : method.end])
    assert method.title == "box.Box.open()"


def test_an_id_with_nothing_between_it_and_a_heading_belongs_to_that_heading() -> None:
    page = read_html("p.html", PAGE)
    assert "index-0" in page.sections[0].aliases
    assert "index-1" in page.sections[3].aliases


def test_code_lists_and_tables_keep_their_shape() -> None:
    text = read_html("p.html", PAGE).text
    assert "```\nx = 1\n  y = 2\n```" in text
    assert "- one\n- two\n  - deep" in text
    assert "| Key | Value |\n| a | 1 |" in text
    assert "Some bold and `code`." in text


def test_a_page_without_main_is_a_page_too() -> None:
    assert "hello" in read_html("p.html", "<p>hello").text


@pytest.mark.parametrize(
    "body", ["", "<nav><a href=x>Home</a></nav>", "<div id=root></div><script>go()</script>", "<p>&mdash;"]
)
def test_a_page_without_text_is_named_and_not_indexed(body: str) -> None:
    with pytest.raises(ReadError, match=r"app\.html: no text in it"):
        read_html("app.html", f"<html><head><title>App</title></head><body>{body}</body></html>")


def test_a_table_that_only_places_what_is_in_it_is_read_through() -> None:
    page = read_html(
        "p.html", "<table><tr><td><h2 id=a>Part</h2><p>One</p><table><tr><td>x<td>y</table></td><td>Two</td></tr></table>"
    )
    assert page.text == "## Part\n\nOne\n\n| x | y |\n\nTwo"
    assert [s.anchor for s in page.sections] == ["a"]


def test_ten_thousand_nested_elements_do_not_overflow_the_stack() -> None:
    assert "deep" in read_html("p.html", "<div>" * 10_000 + "deep").text
