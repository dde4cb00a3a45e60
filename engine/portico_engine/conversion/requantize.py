"""A GGUF file in another quantization, by llama.cpp's own quantizer, in a process of its own: native code that fails ends that
process and nothing else.

It owns the names of the types and the child. What is computed is llama.cpp's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import gguf

from portico_engine.errors import ModelError
from portico_engine.executors.llama_cpp.library import has_llama_cpp, library

_MODULE = "portico_engine.conversion.requantize"
_TAIL = 400  # characters of what llama.cpp said that an error repeats


def quantization_types() -> dict[str, int]:
    """llama.cpp's file types by name, as it numbers them: Q4_K_M, Q8_0, ..."""
    known = {kind.name.removeprefix("MOSTLY_").removeprefix("ALL_"): int(kind) for kind in gguf.LlamaFileType}
    return {name: number for name, number in known.items() if name != "GUESSED"}


def requantize(source: Path, target: Path, kind: str, *, threads: int | None = None) -> Path:
    """Write `source` as `target` with weights of the type `kind`; the target appears when it is whole. Blocks until then.

    Raises ModelError where there is no such type, the target exists, llama.cpp is missing, or says no.
    """
    types = quantization_types()
    number = types.get(kind.upper())
    if number is None:
        raise ModelError(f"no quantization is called {kind!r}; there are {', '.join(types)}")
    if target.exists():
        raise ModelError(f"{target} is there already; give another name with --out, or delete it")
    if not has_llama_cpp():
        raise ModelError("quantizing needs llama-cpp-python, which is not installed: pip install 'portico-mcp[llama]'")
    fresh = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    arguments = [str(source.absolute()), str(fresh.absolute()), str(number), str(threads or os.cpu_count() or 1)]
    try:
        ended = subprocess.run(
            [sys.executable, "-P", "-m", _MODULE, *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if os.path.isabs(entry))},
            cwd=os.sep,
            capture_output=True,
            check=False,
        )
        if ended.returncode != 0 or not fresh.exists():
            said = ended.stderr.decode(errors="replace").strip()[-_TAIL:]
            how = f"code {ended.returncode}" if ended.returncode >= 0 else f"signal {-ended.returncode}"
            raise ModelError(f"{source}: llama.cpp can't quantize it as {kind} ({how}): {said}")
        fresh.rename(target)
    except OSError as error:
        raise ModelError(f"{target} can't be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
    return target


def _main(source: str, target: str, number: str, threads: str) -> int:
    """The child."""
    llama = library()
    params = llama.llama_model_quantize_default_params()
    params.nthread, params.ftype, params.allow_requantize = int(threads), int(number), True
    return int(llama.llama_model_quantize(source.encode(), target.encode(), params))


if __name__ == "__main__":
    import logging

    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    sys.exit(1 if _main(*sys.argv[1:]) else 0)
