"""Chat templates in the manner of the families that publish models: each does something else with what it is given.

Written for these tests; `MARKERS` are the control tokens that they write.
"""

from __future__ import annotations

CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe kind"
    "<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

THINKING = """
{%- macro show(content) %}{{- content }}{% endmacro -%}
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
    {{- "# Tools\\n<tools>" }}
    {%- for tool in tools %}{{- "\\n" }}{{- tool | tojson }}{%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- endif %}
{%- set ns = namespace(multi_step=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step and message.role == "user" and message.content is string
        and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step = false %}{%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = show(message.content)|trim %}
    {%- if message.role == "user" or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning = '' %}
        {%- if message.reasoning_content is string %}{%- set reasoning = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last and (loop.last or reasoning) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning.strip('\\n') + '\\n</think>\\n\\n' + content }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {%- for call in message.tool_calls or [] %}
            {%- set call = call.function if call.function else call %}
            {{- '\\n<tool_call>\\n{"name": "' }}{{- call.name }}{{- '", "arguments": ' }}
            {%- if call.arguments is string %}{{- call.arguments }}{%- else %}{{- call.arguments | tojson }}{%- endif %}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\\n<tool_response>\\n' }}{{- content }}{{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""

HEADERS = """{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content']|trim %}{%- set messages = messages[1:] %}
{%- else %}{%- set system = "" %}{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}{{- system }}
{%- for t in tools or [] %}{{- "\\n" ~ (t | tojson(indent=4)) ~ "\\n" }}{%- endfor %}{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if message.tool_calls %}
        {%- set call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
        {{- '{"name": "' + call.name + '", "parameters": ' }}{{- call.arguments | tojson }}{{- "}<|eot_id|>" }}
    {%- elif message.role in ["tool", "ipython"] %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}{{- message.content | tojson }}
        {%- else %}{{- message.content }}{%- endif %}{{- "<|eot_id|>" }}
    {%- else %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}"""

INSTRUCTIONS = """{{ bos_token }}{% for message in messages %}
{%- if message.role == 'system' %}[SYSTEM_PROMPT]{{ message.content }}[/SYSTEM_PROMPT]
{%- elif message.role == 'user' %}
    {%- if tools and loop.last -%}
    [AVAILABLE_TOOLS]{{ tools | map(attribute='function') | list | tojson }}[/AVAILABLE_TOOLS]{% endif %}
    {{- '[INST]' ~ message.content ~ '[/INST]' }}
{%- elif message.tool_calls %}
    {%- for c in message.tool_calls %}{{- '[TOOL_CALLS]' ~ c.function.name ~ '[ARGS]' ~ c.function.arguments }}{%- endfor %}
    {{- eos_token }}
{%- elif message.role == 'tool' %}{{- '[TOOL_RESULTS]' + message.content|string + '[/TOOL_RESULTS]' }}
{%- else %}{{ ' ' ~ message.content|trim ~ eos_token }}{%- endif %}{%- endfor %}"""

ROLE_MARKERS = """{% for message in messages %}
{{'<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}{% endfor %}
{%- if tools %}{% for tool in tools %}{{ '<|tool|>' ~ tool.function.name ~ ': ' ~ tool.function.description ~ '<|/tool|>' }}
{%- for key, about in tool.function.parameters.properties | items %}{{ '<' ~ key ~ '>' }}{{ about }}{{ '</' ~ key ~ '>' }}
{%- endfor %}{% endfor %}{% endif %}
{%- if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"""

TURNS = """{{ bos_token }}{% set loop_messages = messages %}{% for message in loop_messages %}
{%- if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}
{%- set text %}{{ message['content'] | trim }}{% endset %}
{{- '<start_of_turn>' + role + '\n' + (text | replace('<end_of_turn>', '') | replace('\r', '')) + '<end_of_turn>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"""

XML = """{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content[:4000] }}{% for call in message.tool_calls or [] %}
<tool_call><function={{ call.function.name }}>{% for name, value in call.function.arguments.items() %}
<parameter={{ name }}>{{ value | tojson if value is mapping else value | string }}</parameter>{% endfor %}</function>
{{- '</tool_call>' }}
{%- endfor %}<|im_end|>
{% endfor %}{% if tools %}{{ (tools | map(attribute='function.name') | join(', ')) | upper }}
{{ ("%s: %s" | format(tools[0].function.name, tools[0].function.description)) }}
{{ "{}-{}".format(tools[0].function.name, tools[0].function.description) }}{{ tools[0].function.parameters }}{% endif %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

GENERATION = """
{%- for m in messages -%}
{%- if m.role == 'assistant' -%}
<|im_start|>assistant
{% generation %}{{ m.content }}<|im_end|>
{% endgeneration %}
{%- else -%}
<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""

CHARACTERS = """{% for m in messages %}<|im_start|>{{ m.role }}
{% for line in m.content.splitlines() %}{{ line.strip() }}
{% endfor %}{{ m.content | list | join('') | reverse | reverse }}{{ m.content.partition('|')[0] }}{{ m.content.title() }}
{%- for word in m.content.split(' ') %}{{ word }}{% endfor %}{{ (m.content ~ m.role).replace('a', 'b') }}<|im_end|>
{% endfor %}<|im_start|>assistant
"""

TEMPLATES = {
    "chatml": CHATML,
    "thinking": THINKING,
    "headers": HEADERS,
    "instructions": INSTRUCTIONS,
    "role markers": ROLE_MARKERS,
    "turns": TURNS,
    "xml": XML,
    "generation": GENERATION,
    "characters": CHARACTERS,
}
CONTROLS = (
    *("<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>"),
    *("<|end_header_id|>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[AVAILABLE_TOOLS]"),
    *("[/AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[ARGS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "<|user|>", "<|assistant|>"),
    *("<|system|>", "<|end|>", "<|tool|>", "<|/tool|>", "<start_of_turn>", "<|reserved_special_token_0|>", "<｜User｜>"),
)
DEFINED = (
    "<tool_call>",
    "</tool_call>",
    "<think>",
    "</think>",
    "<tool_response>",
    "</tool_response>",
    "<end_of_turn>",
    "<|fim|>",
)
WORDS = ("\n\n", "<table>", "<b>", "    ")  # user-defined tokens that are words like others
