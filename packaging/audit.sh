#!/usr/bin/env bash
# Asks PyPI's advisory database about every version in constraints.txt. usage: packaging/audit.sh
# Exit codes: 0 nothing is known, 1 something is (listed on stdout), 3 it could not be asked (no network, or an index without advisories).
set -euo pipefail
cd "$(dirname "$0")/.."
PIP_AUDIT=pip-audit==2.10.1
python=.venv/audit/bin/python
[ -x "$python" ] || .venv/bin/python -m venv .venv/audit

if ! "$python" -c 'import pip_audit' 2>/dev/null; then
  "$python" -m pip --disable-pip-version-check --no-input install -q "$PIP_AUDIT" ||
    { echo "make audit: pip-audit can't be installed: is there no network?" >&2; exit 3; }
fi
report=$(mktemp)
errors=$(mktemp)
trap 'rm -f "$report" "$errors"' EXIT
# Versions alone are looked up: nothing is downloaded, resolved or built.
"$python" -m pip_audit --no-deps --disable-pip --progress-spinner off --timeout 30 \
  -r constraints.txt -r <(sed 's/ --hash.*//; /^#/d' packaging/hashed.txt) -f json -o "$report" 2>"$errors" || true
if [ ! -s "$report" ]; then
  echo "make audit: the advisories can't be asked for, so nothing is known: $(tail -n 1 "$errors")" >&2
  exit 3
fi
"$python" - "$report" <<'PY'
import json, sys
dependencies = json.load(open(sys.argv[1]))["dependencies"]
found = [(each["name"], each["version"], vuln) for each in dependencies for vuln in each.get("vulns", [])]
unknown = [each["name"] for each in dependencies if "skip_reason" in each]
if len(unknown) == len(dependencies):
    print("make audit: the index knows none of the packages, so it has no advisories; is it PyPI?", file=sys.stderr)
    sys.exit(3)
for name, version, vuln in found:
    print(f"{name} {version}: {vuln['id']}, fixed in {', '.join(vuln['fix_versions']) or 'no version'}")
if unknown:
    print(f"not known to the index: {', '.join(unknown)}", file=sys.stderr)
print(f"{len(found)} known vulnerabilities in {len(dependencies)} packages", file=sys.stderr)
sys.exit(1 if found else 0)
PY
