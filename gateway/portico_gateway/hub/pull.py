"""A whole model or adapter: what it consists of, what of that is missing, where it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from portico_gateway.errors import HubError
from portico_gateway.hub.download import download
from portico_gateway.hub.repository import (
    ChosenFiles,
    Repository,
    choose_files,
    endpoint,
    open_client,
    parse_name,
    read_repository,
)

Report: TypeAlias = Callable[[str, int, int], None]  # file, bytes there, bytes in all


@dataclass(frozen=True, slots=True)
class Pulled:
    """What is there now. `path` is what loads it: a GGUF file (the first of several) or a folder."""

    repository: Repository
    choice: ChosenFiles
    path: Path


def pull(
    name: str,
    folder: Path,
    *,
    memory: int,
    report: Report = lambda _file, _there, _all: None,
    on_choice: Callable[[Repository, ChosenFiles], None] = lambda _repository, _choice: None,
) -> Pulled:
    """Fetch what `name` (OWNER/REPO, or OWNER/REPO:QUANTIZATION) means into FOLDER/OWNER/REPO. `memory`: see `choose_files`;
    `on_choice` hears what it will be before the first byte comes. Raises HubError.
    """
    where = endpoint()
    repository_name, wanted = parse_name(name)
    with open_client() as client:
        repository = read_repository(client, where, repository_name)
        choice = choose_files(repository, wanted, memory)
        if not choice.files:
            raise HubError(f"{repository_name} has no files that are needed")
        on_choice(repository, choice)
        into = folder / repository_name
        paths = []
        for file in choice.files:
            target = into / file.name
            paths.append(download(client, repository.url(where, file), file, target, partial(report, file.name)))
    return Pulled(repository, choice, paths[0] if choice.kind == "gguf" else into)
