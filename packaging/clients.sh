#!/usr/bin/env bash
# Makes .venv/clients: agent frameworks for tests/end_to_end/test_clients.py, in an environment of their own, since some want
# other versions than ours. usage: packaging/clients.sh
#
# What is there already, by the digest of what it is made from, is left as it is. A package that the registry does not have is
# named in .venv/clients/.missing, and its test is skipped with that reason.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
place=.venv/clients
# Whatever these need in turn, too, and what builds it.
export PIP_CONSTRAINT=packaging/clients-constraints.txt PIP_BUILD_CONSTRAINT=packaging/clients-constraints.txt
# Without bytecode: only what the tests import is compiled, when they do.
pip() { "$place/bin/python" -m pip --disable-pip-version-check --no-input install -q --progress-bar off --no-compile "$@"; }

digest=$({ "$python" -VV; cat packaging/clients.txt "$PIP_CONSTRAINT" "$0"; } | sha256sum | cut -d' ' -f1)
if [ "$(cat "$place/.digest" 2>/dev/null)" != "$digest" ]; then
  rm -rf "$place"
  "$python" -m venv "$place"
  if ! pip -r packaging/clients.txt 2>"$place/.said"; then
    grep -v '^ *\(#\|$\)' packaging/clients.txt | while read -r wanted; do
      pip "$wanted" 2>"$place/.said" && continue
      grep -q 'No matching distribution' "$place/.said" || { cat "$place/.said" >&2; exit 1; }
      echo "$wanted: $(grep 'No matching distribution' "$place/.said")" >>"$place/.missing"
    done
  fi
  [ ! -e "$place/.missing" ] || { echo "==> not in .venv/clients:" >&2; cat "$place/.missing" >&2; }
  echo "$digest" >"$place/.digest"
fi
