"""`llm`: a chain with a tool of its own, on a model of extra-openai-models.yaml."""

import os
import pathlib
import sys

folder = pathlib.Path(os.environ["LLM_USER_PATH"])
folder.mkdir(parents=True, exist_ok=True)
listed = f'- model_id: local\n  model_name: fake\n  api_base: "{sys.argv[1]}/v1"\n  supports_tools: true\n'
(folder / "extra-openai-models.yaml").write_text(listed)

import llm  # noqa: E402


def calc__add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


model = llm.get_model("local")
model.key = "none"
print("FINAL", model.chain("What is 1 + 2?", tools=[calc__add], stream=False).text())
