"""A repository of the hub: its files with sizes and checksums, and which of them make the model that a name means.

It owns the hub's two addresses (the API's listing, and `resolve` for a file) and how its refusals are said. It writes nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import httpx2

from portico_gateway.errors import HubError
from portico_servers.common.version import package_version

DEFAULT_ENDPOINT = "https://huggingface.co"
_TIMEOUT = httpx2.Timeout(30.0, connect=10.0)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
_FOLDER_FILES = (
    *("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("chat_template.jinja", "model.safetensors.index.json"),
)
# Where nothing is said, the first of these that fits; below four bits a model of this size calls tools badly.
_PREFERRED = ("Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "Q4_K_S", "Q4_1", "Q4_0", "IQ4_XS", "Q3_K_M", "BF16", "F16")


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file. `sha256` of large ones, `git_id` (SHA-1 over git's header and the content) of the others."""

    name: str
    size: int
    sha256: str | None
    git_id: str | None


@dataclass(frozen=True, slots=True)
class Repository:
    """`commit` is what its branch was when it was asked."""

    name: str
    commit: str
    licence: str
    files: tuple[HubFile, ...]

    def url(self, endpoint: str, file: HubFile) -> str:
        """Where a file is, at exactly this commit."""
        return f"{endpoint}/{self.name}/resolve/{self.commit}/{file.name}"


@dataclass(frozen=True, slots=True)
class ChosenFiles:
    """The files that make what was asked for."""

    kind: Literal["gguf", "folder", "adapter"]
    files: tuple[HubFile, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def endpoint() -> str:
    """HF_ENDPOINT, as Hugging Face's own library reads it, or the hub."""
    return os.environ.get("HF_ENDPOINT", DEFAULT_ENDPOINT).rstrip("/")


@contextmanager
def open_client(token: str | None = None) -> Iterator[httpx2.Client]:
    """A client for the hub, with the token of HF_TOKEN, which goes to the endpoint alone."""
    token = token or os.environ.get("HF_TOKEN")
    headers = {"user-agent": f"portico/{package_version()}", "accept-encoding": "identity"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    with httpx2.Client(headers=headers, timeout=_TIMEOUT, follow_redirects=True, max_redirects=5) as client:
        yield client


def parse_name(name: str) -> tuple[str, str | None]:
    """OWNER/REPO and what stands behind a colon: a quantization or a file. Raises HubError for what is no such name."""
    repository, _, wanted = name.removeprefix("hf.co/").removeprefix("huggingface.co/").partition(":")
    owner, _, rest = repository.partition("/")
    if not (_NAME.fullmatch(owner) and _NAME.fullmatch(rest) and ".." not in repository):
        raise HubError(
            f"{name!r} is no model's name: it is OWNER/REPO, or OWNER/REPO:QUANTIZATION as in Qwen/Qwen3-4B-GGUF:Q4_K_M, "
            "or one of `portico models recommended`"
        )
    return repository, wanted or None


def read_repository(client: httpx2.Client, where: str, name: str, revision: str = "main") -> Repository:
    """What is there. Raises HubError where it can't be reached, is none, or asks for a licence to be accepted first."""
    try:
        answer = client.get(f"{where}/api/models/{name}/revision/{revision}", params={"blobs": "true"})
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise unreachable(where, error) from None
    check_status(answer, where, name)
    try:
        about = answer.json()
        return Repository(name, str(about["sha"]), _licence(about), tuple(_files(about["siblings"])))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise HubError(f"{where} answered something that is no list of files for {name}") from None


def check_status(answer: httpx2.Response, where: str, name: str) -> None:
    """Raises HubError for an answer that is none."""
    if answer.status_code in (401, 403):
        raise HubError(
            f"{name} is private, gated or not there: accept its licence at {where}/{name}, and set HF_TOKEN to a token that "
            "may read it"
        )
    if answer.status_code == 404:
        raise HubError(f"{where} has no {name}; `portico models recommended` lists names that it has")
    if answer.status_code == 429:
        wait = answer.headers.get("retry-after")
        raise HubError(f"{where} has had too many requests from here; try again {f'in {wait} s' if wait else 'later'}")
    if answer.is_error:
        raise HubError(f"{where} answered {answer.status_code} {answer.reason_phrase} for {name}; try again later")


def unreachable(where: str, error: Exception) -> HubError:
    """What is said where there is no network."""
    said = str(error) or type(error).__name__
    return HubError(
        f"{where} can't be reached ({said}): is this machine online? Behind a proxy set HTTPS_PROXY; a file that is here "
        "already is used with --model FILE.gguf"
    )


def choose_files(repository: Repository, wanted: str | None, memory: int) -> ChosenFiles:
    """What to fetch: an adapter, one GGUF model (all parts), or a folder of safetensors.

    Of several GGUF files the one of the quantization or name `wanted`, else the first of the usual ones that fits `memory`
    bytes. Raises HubError, which lists what there is, where nothing matches.
    """
    names = {file.name: file for file in repository.files}
    if "adapter_config.json" in names:
        return _adapter(repository, names)
    models = _gguf_models([file for file in repository.files if file.name.endswith(".gguf") and "mmproj" not in file.name])
    if models:
        return ChosenFiles("gguf", _one_gguf(models, wanted, memory, repository.name))
    if wanted is None and "config.json" in names and any(name.endswith(".safetensors") for name in names):
        files = [file for file in repository.files if file.name in _FOLDER_FILES or _is_weights(file.name)]
        return ChosenFiles("folder", tuple(files))
    if any(name.endswith((".bin", ".pt", ".pth", ".ckpt")) for name in names):
        raise HubError(
            f"{repository.name} has its weights as Python pickles, which can run code and aren't read: take another one"
        )
    raise HubError(f"{repository.name} holds neither GGUF files nor safetensors with a config.json")


def _is_weights(name: str) -> bool:
    return "/" not in name and name.endswith(".safetensors")


def _adapter(repository: Repository, names: dict[str, HubFile]) -> ChosenFiles:
    if "adapter_model.safetensors" not in names:
        raise HubError(f"{repository.name} is an adapter without adapter_model.safetensors, which alone is read")
    return ChosenFiles("adapter", (names["adapter_config.json"], names["adapter_model.safetensors"]))


def _gguf_models(files: Sequence[HubFile]) -> dict[str, tuple[HubFile, ...]]:
    """By name, parts together."""
    found: dict[str, list[HubFile]] = {}
    for file in sorted(files, key=lambda each: each.name):
        found.setdefault(_PART.sub("", file.name).removesuffix(".gguf"), []).append(file)
    return {name: tuple(parts) for name, parts in found.items()}


def _one_gguf(models: dict[str, tuple[HubFile, ...]], wanted: str | None, memory: int, repository: str) -> tuple[HubFile, ...]:
    listed = ", ".join(f"{name} ({_size(files) / 1e9:.1f} GB)" for name, files in models.items())
    if wanted is not None:
        asked = wanted.lower().removesuffix(".gguf")
        exact = [name for name in models if name.lower() == asked or name.lower().rpartition("/")[2] == asked]
        found = exact or [name for name in models if re.search(rf"(?:^|[-._/]){re.escape(asked)}$", name.lower())]
        if len(found) != 1:
            said = "several match" if found else "nothing matches"
            raise HubError(f"{repository}: {said} {wanted!r}; there is {listed}")
        return models[found[0]]
    if len(models) == 1:
        return next(iter(models.values()))
    for kind in _PREFERRED:
        for name, files in models.items():
            if name.upper().endswith(kind) and _size(files) <= memory:
                return files
    raise HubError(
        f"{repository} has several models, and none of the usual ones fits: name one behind a colon; there is {listed}"
    )


def _size(files: Sequence[HubFile]) -> int:
    return sum(file.size for file in files)


def _files(siblings: Sequence[dict[str, Any]]) -> Iterator[HubFile]:
    for entry in siblings:
        name, lfs = str(entry["rfilename"]), entry.get("lfs") or {}
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise HubError(f"the hub names the file {name!r}, which would lie outside of its folder")
        sha256, git_id = lfs.get("sha256"), entry.get("blobId")
        size = int(lfs.get("size") or entry.get("size") or 0)
        yield HubFile(
            name, size, None if sha256 is None else str(sha256).lower(), None if lfs or git_id is None else str(git_id)
        )


def _licence(about: dict[str, Any]) -> str:
    card = about.get("cardData")
    return str(card.get("license") or "unknown") if isinstance(card, dict) else "unknown"
