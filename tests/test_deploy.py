"""What deploy/ ships is well-formed, and names only what there is: series, options, keys of the configuration."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from portico_gateway.cli.commands.serve import command as serve
from portico_gateway.config.portico_config import PorticoConfig

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "portico.service"
IMAGES = (DEPLOY / "docker" / "Dockerfile.cpu", DEPLOY / "docker" / "Dockerfile.cuda")


def test_every_series_of_the_dashboard_is_one_that_metrics_has() -> None:
    board = json.loads((DEPLOY / "grafana" / "portico.json").read_text())
    middleware = ROOT / "gateway/portico_gateway/http/middleware"
    source = "".join((middleware / name).read_text() for name in ("metrics.py", "model_metrics.py"))
    named = {
        name for panel in board["panels"] for each in panel["targets"] for name in re.findall(r"portico_\w+", each["expr"])
    }
    there = {name.removesuffix("_total").removesuffix("_bucket") for name in named}
    assert len(named) > 12
    assert {name for name in there if f'"{name}"' not in source} == set()


@pytest.mark.parametrize("file", sorted(DEPLOY.rglob("*.toml")), ids=str)
def test_configurations_are_taken(file: Path) -> None:
    PorticoConfig.model_validate(tomllib.loads(file.read_text()))


@pytest.mark.parametrize("file", sorted(DEPLOY.rglob("*.yaml")), ids=str)
def test_manifests_can_be_read(file: Path) -> None:
    documents = list(yaml.safe_load_all(file.read_text()))
    assert all(documents)
    assert file.parent.name == "llm-d" or len(documents) == 1


def test_the_service_and_the_images_start_portico_by_options_that_it_has() -> None:
    options = {option for parameter in serve.params for option in parameter.opts}
    for file in (UNIT, *IMAGES, DEPLOY / "llm-d" / "portico.yaml"):
        lines = [line for line in file.read_text().splitlines() if re.match(r"(ExecStart|CMD|\s+args:).*serve", line)]
        assert lines, file
        assert {option for line in lines for option in re.findall(r"--[a-z-]+", line)} <= options, file


def test_pip_installs_extras_that_the_package_has() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for file in (UNIT, *IMAGES):
        named = {name for found in re.findall(r"\[([a-z,]+)\]", file.read_text()) for name in found.split(",")}
        assert named, file
        assert named <= set(extras), file


def test_environment_variables_are_read_by_somebody() -> None:
    own = {"PORTICO_LOG_DIR"}  # read where logs are written
    for file in (UNIT, *IMAGES):
        for name in set(re.findall(r"PORTICO_[A-Z_]+", file.read_text())) - own:
            section, _, key = name.removeprefix("PORTICO_").lower().partition("_")
            field = PorticoConfig.model_fields[section]
            assert key in field.annotation.model_fields, name  # type: ignore[union-attr]


def test_ports_and_probes_are_what_the_gateway_listens_on_and_answers() -> None:
    port = str(PorticoConfig().serve.port)
    source = (ROOT / "gateway/portico_gateway/http/health.py").read_text()
    for file in (*IMAGES, DEPLOY / "llm-d" / "portico.yaml"):
        text = file.read_text()
        assert set(re.findall(r"(?:EXPOSE |containerPort: |- port: |127\.0\.0\.1:|portico:)(\d{4})\b", text)) == {port}, file
        probes = set(re.findall(r"/(?:readyz|healthz|[a-z]+z)\b", text))
        assert probes, file
        assert all(f'"{probe}"' in source for probe in probes), file


def test_whoever_ends_the_gateway_waits_for_its_drain() -> None:
    drain = PorticoConfig().serve.drain_seconds
    stop = re.search(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    grace = re.search(r"terminationGracePeriodSeconds: (\d+)", (DEPLOY / "llm-d" / "portico.yaml").read_text())
    assert stop is not None
    assert grace is not None
    assert drain < int(stop[1])
    assert drain < int(grace[1])


def test_the_images_copy_what_the_package_is_built_from_and_their_context_is_that() -> None:
    for file in IMAGES:
        copied = _copied(file)
        assert all((ROOT / name).exists() for name in copied)
        assert {"pyproject.toml", "engine", "gateway", "servers", "README.md", "LICENSE"} <= copied
        ignored = file.with_name(f"{file.name}.dockerignore").read_text().splitlines()
        assert "*" in ignored, "all is left out but what follows"
        assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == copied


@pytest.mark.parametrize("file", IMAGES, ids=lambda file: file.name)
def test_an_image_is_built_as_linters_of_dockerfiles_want_it(file: Path) -> None:
    text = re.sub(r"\\\n\s*", " ", file.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    bases = [line.split()[1] for line in lines if line.startswith("FROM")]
    assert all(":" in base and not base.endswith(":latest") for base in bases), "bases have tags"
    assert [line for line in lines if line.startswith("USER")][-1] != "USER root"
    assert lines.index("USER portico") > max(at for at, line in enumerate(lines) if line.startswith(("RUN", "COPY")))
    assert all("--no-cache-dir" in part for line in lines for part in line.split("&&") if "pip install" in part)
    assert all("--no-install-recommends" in part for line in lines for part in line.split("&&") if "apt-get install" in part)
    assert all(line.startswith(("CMD [", "ENTRYPOINT [")) for line in lines if line.startswith(("CMD", "ENTRYPOINT")))
    assert "| " not in " ".join(line for line in lines if line.startswith("RUN")), "a pipe hides what failed"
    assert all("==" in part or "-c constraints.txt" in part or "--require-hashes" in part for part in _installs(lines))


def test_an_image_has_the_programs_that_portico_starts() -> None:
    """Without a C++ compiler a CPU's kernels are not there and plain torch computes; Triton needs one for C."""
    for file, compiler in zip(IMAGES, ("g++", "gcc"), strict=True):
        last = file.read_text().rpartition("\nFROM ")[2].replace("\\\n", " ")
        installed = {name for found in re.findall(r"apt-get install (.*?)&&", last) for name in found.split()}
        assert {compiler, "git"} <= installed, file


def test_kubernetes_selectors_name_the_labels_of_their_pods() -> None:
    for file in sorted((DEPLOY / "llm-d").glob("*.yaml")):
        documents = list(yaml.safe_load_all(file.read_text()))
        labels = [each["spec"]["template"]["metadata"]["labels"] for each in documents if each["kind"] == "Deployment"]
        assert labels
        for each in documents:
            assert {"apiVersion", "kind", "metadata", "spec"} == set(each)
            selector = each["spec"].get("selector")
            if selector is not None:
                assert selector.get("matchLabels", selector) in labels, (file, each["kind"])
        mounts = {
            (mount["name"], volume["name"])
            for each in documents
            if each["kind"] == "Deployment"
            for container in each["spec"]["template"]["spec"]["containers"]
            for mount in container.get("volumeMounts", ())
            for volume in each["spec"]["template"]["spec"]["volumes"]
        }
        assert all(mount == volume for mount, volume in mounts)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_takes_the_service(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/portico/bin/portico", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def _copied(file: Path) -> set[str]:
    return {name for line in re.findall(r"^COPY (?!--)(.*)", file.read_text(), re.MULTILINE) for name in line.split()[:-1]}


def _installs(lines: list[str]) -> list[str]:
    return [part for line in lines for part in line.split("&&") if "pip install" in part]
