"""LiteLLM's completion: a tool call, its result, the answer."""

import json
import sys

import litellm

TOOL = {
    "type": "function",
    "function": {
        "name": "calc__add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}
asked = {"model": "openai/fake", "api_base": f"{sys.argv[1]}/v1", "api_key": "none", "tools": [TOOL]}
messages = [{"role": "user", "content": "What is 1 + 2?"}]
said = litellm.completion(messages=messages, **asked).choices[0].message
(call,) = said.tool_calls
arguments = json.loads(call.function.arguments)
result = {"role": "tool", "tool_call_id": call.id, "content": str(arguments["a"] + arguments["b"])}
print("FINAL", litellm.completion(messages=[*messages, said, result], **asked).choices[0].message.content)
