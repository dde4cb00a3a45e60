from __future__ import annotations

import datetime

import pytest

from portico_engine import ChatTemplateError, Tool
from portico_engine.text.chat_template import ChatTemplate
from portico_engine.text.untrusted import Disguise

TURNS = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"


def test_turns_special_tokens_and_the_generation_prompt_are_rendered() -> None:
    template = ChatTemplate(
        "{{ bos_token }}" + TURNS + "{% if add_generation_prompt %}[assistant]{% endif %}", {"bos_token": "<s>"}
    )
    messages = [{"role": "user", "content": "hi"}]
    assert template.render(messages) == "<s>[user]hi[assistant]"
    assert template.render(messages, add_generation_prompt=False) == "<s>[user]hi"


def test_content_is_one_string_whatever_shape_it_came_in() -> None:
    template = ChatTemplate("{% for m in messages %}{{ '<' + m['content'] + '>' }}{% endfor %}")
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert template.render([{"role": "user", "content": parts}, {"role": "assistant", "content": None}]) == "<ab><>"
    with pytest.raises(ChatTemplateError, match="'image_url'; this model takes text only"):
        template.render([{"role": "user", "content": [{"type": "image_url"}]}])


def test_tools_and_calls_are_given_as_objects_and_printed_as_plain_json() -> None:
    template = ChatTemplate("{{ tools | tojson }} {{ messages[0].tool_calls[0].function.arguments | tojson }}")
    tool = Tool("find", "Find <x> & 'y'", {"type": "object"})
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "find", "arguments": '{"q": "é"}'}}]}
    assert template.render([call], [tool]) == (
        '[{"type": "function", "function": {"name": "find", "description": "Find <x> & \'y\'", '
        '"parameters": {"type": "object"}}}] {"q": "é"}'
    )


def test_a_template_may_refuse_in_its_own_words() -> None:
    template = ChatTemplate("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(ChatTemplateError, match="roles must alternate"):
        template.render([{"role": "user", "content": "x"}])


def test_the_date_is_at_hand() -> None:
    text = ChatTemplate("{{ strftime_now('%Y') }}").render([{"role": "user", "content": ""}])
    assert abs(int(text) - datetime.datetime.now().year) <= 1


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ messages.append({}) }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{% include '/etc/passwd' %}",
    ],
)
def test_a_template_from_a_stranger_stays_in_its_sandbox(source: str) -> None:
    with pytest.raises(ChatTemplateError):
        ChatTemplate(source).render([{"role": "user", "content": "x"}])


@pytest.mark.parametrize(
    ("messages", "message"),
    [([], "no messages"), ([{"content": "x"}], "needs a role"), ([{"role": "user", "content": 5}], "refuses|type")],
)
def test_messages_that_make_no_sense_are_refused(messages: list[dict[str, object]], message: str) -> None:
    with pytest.raises(ChatTemplateError, match=message):
        ChatTemplate(TURNS).render(messages)


def test_a_template_that_does_not_parse_is_said_so() -> None:
    with pytest.raises(ChatTemplateError, match="does not parse"):
        ChatTemplate("{% if %}")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{% generation %}{{ messages[0].content }}{% endgeneration %}", "x"),
        ("a{%- generation -%} b {%- endgeneration -%} c", "abc"),
        ("{% trans %}{{ messages[0].content }}{% endtrans %}{% spaceless %}y{% endspaceless %}", "xy"),
        ("{% set n = 1 %}{% generation %}{% set n = 2 %}{{ n }}{% endgeneration %}{{ n }}", "21"),
        ("{% set l = namespace(n=1) %}{% do l %}{% for m in messages %}{% break %}{% endfor %}z", "z"),
    ],
)
def test_tags_for_trainers_print_their_body(source: str, text: str) -> None:
    assert ChatTemplate(source).render([{"role": "user", "content": "x"}]) == text


@pytest.mark.parametrize(
    "source", ["{% no_such_tag %}", "{% eles %}{% endif %}", "{% generation %}x", "{% x %}{% y %}{% endx %}{% endz %}"]
)
def test_a_tag_without_an_end_is_refused(source: str) -> None:
    with pytest.raises(ChatTemplateError, match="does not parse"):
        ChatTemplate(source)


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep: dict[str, object] = {}
    for _ in range(5000):
        deep = {"a": deep}
    with pytest.raises(ChatTemplateError, match="too deeply"):
        ChatTemplate(TURNS + "{{ tools | tojson }}").render([{"role": "user", "content": "x"}], [Tool("f", "", deep)])
    call = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": "[" * 100_000}}]}
    assert ChatTemplate("{{ messages[0].tool_calls[0].function.arguments | length }}").render([call]) == "100000"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "passes of loops and calls"),
        ("{% macro f(n) %}{{ f(n - 1) }}{{ f(n - 1) }}{% endmacro %}{% set n = 200 %}{{ f(n) }}", "nested too deeply|passes"),
        ("{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}", "passes of loops"),
        ("{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", "characters"),
        (
            "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}",
            "characters",
        ),
        ("{{ 'a' * 999999999999 }}", "repeats something"),
        ("{{ [1] * 999999999999 }}", "repeats something"),
        ("{{ 9 ** 999999999 }}", "power"),
        ("{{ 'a'.ljust(99999999999) }}", "99999999999 long"),
        ("{{ 'a' | center(99999999999) }}", "99999999999 long"),
        ("{{ 'a' | indent(width=99999999999) }}", "99999999999 long"),
        ("{{ '%99999999d' % 1 }}", "formats something"),
        ("{{ '{:99999999}'.format(1) }}", "formats something"),
        ("{{ range(999999999) | list }}", "999999999 long"),
    ],
)
def test_a_template_that_never_ends_or_fills_the_memory_is_ended(source: str, said: str) -> None:
    with pytest.raises(ChatTemplateError, match=said):
        ChatTemplate(source).render([{"role": "user", "content": "x"}])


def test_a_loop_of_a_long_conversation_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    source = "{% for m in messages %}{{ loop.index }}/{{ loop.length }}{% if loop.last %}!{% endif %}{% endfor %}"
    messages = [{"role": "user", "content": "x"}] * 3000
    assert ChatTemplate(source).render(messages).endswith("3000/3000!")


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{{ self._TemplateReference__context }}",
        "{% include '/etc/passwd' %}",
        "{{ lipsum.__globals__['os'] }}",
    ],
)
def test_a_template_that_leaves_its_sandbox_is_refused(source: str) -> None:
    with pytest.raises(ChatTemplateError):
        ChatTemplate(source).render([{"role": "user", "content": "x"}])


def test_json_is_written_as_the_template_asks() -> None:
    source = (
        "{{ messages[0] | tojson(separators=(',', ':')) }} {{ {'b': 'é', 'a': 1} | tojson(sort_keys=true, ensure_ascii=true) }}"
    )
    rendered = ChatTemplate(source).render([{"role": "user", "content": "x"}])
    assert rendered == '{"role":"user","content":"x"} {"a": 1, "b": "\\u00e9"}'


PARTS = (
    "{% for m in messages %}{% for p in m['content'] %}{% if p['type'] == 'text' %}[{{ p.text }}]{% endif %}{% endfor %}"
    "{% endfor %}"
)


def test_a_template_of_typed_parts_gets_parts_and_one_that_asks_gets_text() -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "b"}]}]
    assert ChatTemplate(PARTS).render(messages) == "[a][b]"
    both = "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}" + PARTS + "{% endif %}{% endfor %}"
    assert ChatTemplate(both).render(messages) == "ab"


def test_a_part_s_text_is_text_from_outside() -> None:
    disguise = Disguise(["<|im_end|>"])
    rendered = ChatTemplate(PARTS, disguise=disguise).render_disguised([{"role": "user", "content": "<|im_end|>"}])
    assert not str.__contains__(rendered, "<|im_end|>")
    assert disguise.show(rendered) == "[<|im_end|>]"


def test_a_request_s_variables_reach_the_template_as_text_from_outside() -> None:
    disguise = Disguise(["<|x|>"])
    template = ChatTemplate("{% if enable_thinking %}think{% else %}no{% endif %}{{ style }}", disguise=disguise)
    messages = [{"role": "user", "content": "x"}]
    assert template.render(messages, variables={"enable_thinking": True, "style": "<|x|>"}) == "think<|x|>"
    assert not str.__contains__(template.render_disguised(messages, variables={"style": "<|x|>"}), "<|x|>")
    assert template.render(messages, variables={"enable_thinking": False}) == "no"
    with pytest.raises(ChatTemplateError, match="chat_template_kwargs can't have 'messages'"):
        template.render(messages, variables={"messages": []})
