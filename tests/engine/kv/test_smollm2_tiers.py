"""The default model over a disk: a prefix computed in one process is exact in the next."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROBE = """
import json, sys
from pathlib import Path
from portico_engine import Request, SamplingParams, load_engine

engine = load_engine(sys.argv[1], context=1024, kv_dir=Path(sys.argv[2]))
text = "You answer questions. " + " ".join(f"Tool {i} finds things of the kind {i}." for i in range(40))
prefix = engine.render_chat([{"role": "system", "content": text}], add_generation_prompt=False)[:320]
assert len(prefix) == 320
for ending in sys.argv[3:]:
    prompt = (*prefix, *engine.tokenizer.encode(ending, special=True))
    request = Request("r", prompt, SamplingParams(temperature=0, logprobs=0), max_tokens=24, keep=len(prefix))
    deltas = list(engine.generate(request))
    tokens, logprobs = ([x for d in deltas for x in getattr(d, name)] for name in ("tokens", "logprobs"))
    print(json.dumps({"tokens": tokens, "logprobs": logprobs, "cached": deltas[-1].usage.cached_tokens}))
engine.close()
print(json.dumps(engine.stats()))
"""
ONE = "\n\nIn short:"
OTHER = "<|im_end|>\n<|im_start|>user\nWhy is the sky blue?<|im_end|>\n<|im_start|>assistant\n"


def answers(model: Path, folder: Path, *endings: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-c", PROBE, str(model), str(folder), *endings]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_another_process_answers_as_the_first_one_did_from_memory(smollm2_path: Path, tmp_path: Path) -> None:
    cold, warm, stats = answers(smollm2_path, tmp_path, ONE, OTHER)
    assert (cold["cached"], warm["cached"]) == (0, 320)
    assert stats["kv_saves"] == 20
    again, stats = answers(smollm2_path, tmp_path, OTHER)
    assert again == warm, "to the last bit of every probability"
    assert (stats["prompt_tokens_cached_disk"], stats["kv_saves"]) == (320, 0)


def test_a_damaged_prefix_is_computed_anew(smollm2_path: Path, tmp_path: Path) -> None:
    cold, _ = answers(smollm2_path, tmp_path, OTHER)
    for path in tmp_path.rglob("*.kv"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0x40
        path.write_bytes(data)
    again, _ = answers(smollm2_path, tmp_path, OTHER)
    assert again == cold
