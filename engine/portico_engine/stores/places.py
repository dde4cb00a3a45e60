"""Where Portico, Hugging Face's library, LM Studio and Ollama keep models, by their own documentation, and what lies there.

It owns those folders' layouts and the environment variables that move them. A folder that can't be read has no models. No file
is opened but Ollama's manifests, which are JSON of a few hundred bytes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import platformdirs

from portico_engine.errors import ModelError
from portico_engine.stores.stored_model import Kind, Store, StoredModel, pick

PART = ".part"  # what a download is called until it is whole
_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$")
_FIRST_PART = re.compile(r"-00001-of-(\d{5})\.gguf$")
_MANIFEST_BYTES = 1 << 20
_OLLAMA_MODEL = "application/vnd.ollama.image.model"
_OLLAMA_ADAPTER = "application/vnd.ollama.image.adapter"


def models_folder() -> Path:
    """Portico's own, where `portico models pull` puts what it loads: OWNER/REPO/FILE. PORTICO_MODELS moves it."""
    if moved := os.environ.get("PORTICO_MODELS"):
        return Path(moved).expanduser()
    return platformdirs.user_cache_path("portico", appauthor=False) / "models"


def stored_models(environ: Mapping[str, str] | None = None) -> list[StoredModel]:
    """All models and adapters of all stores, Portico's own first, then by name."""
    environ = os.environ if environ is None else environ
    found = [*_tree(models_folder(), "portico"), *_hugging_face(environ), *_lm_studio(environ), *_ollama(environ)]
    return sorted(found, key=lambda model: (model.store != "portico", model.full_name.lower()))


def find_stored(name: str) -> StoredModel | None:
    """The model of this name in any store; None where there is none. Raises ModelError where the name means several."""
    return pick([model for model in stored_models() if model.kind != "adapter"], name)


def remove_stored(model: StoredModel) -> int:
    """Delete a model that Portico has downloaded; bytes freed. Raises ModelError for another program's, saying whose it is."""
    if model.store != "portico":
        how = {
            "Ollama": f"ollama rm {model.name}",
            "Hugging Face": "hf cache rm",
            "LM Studio": "its own list of models",
            "package": "pip uninstall",
        }[model.store]
        raise ModelError(f"{model.full_name} belongs to {model.store}, and is not Portico's to delete; {how} does")
    try:
        for path in [model.path] if model.path.is_dir() else gguf_parts(model.path):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        _prune(model.path.parent, models_folder())
    except OSError as error:
        raise ModelError(f"{model.path} can't be deleted: {error.strerror or error}") from None
    return model.size


def gguf_parts(path: Path) -> list[Path]:
    """All files of a model whose first file this is."""
    several = _FIRST_PART.search(path.name)
    if several is None:
        return [path]
    stem = path.name[: several.start()]
    every = [path.with_name(f"{stem}-{i:05}-of-{several[1]}.gguf") for i in range(1, int(several[1]) + 1)]
    return [each for each in every if each.exists()]


def _prune(folder: Path, root: Path) -> None:
    """Folders that hold nothing any more, up to the root."""
    while folder != root and folder.is_relative_to(root) and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _tree(root: Path, store: Store) -> Iterator[StoredModel]:
    """OWNER/REPO/FILE.gguf, and OWNER/REPO that are folders of a model or an adapter."""
    for owner in _folders(root):
        for repository in _folders(owner):
            yield from _repository(repository, f"{owner.name}/{repository.name}", store)


def _repository(folder: Path, name: str, store: Store) -> Iterator[StoredModel]:
    """What one repository's files are."""
    for path in _ggufs(folder):
        yield _gguf(path, f"{name}/{path.relative_to(folder).as_posix()}", store)
    for file, kind in (("adapter_config.json", "adapter"), ("config.json", "folder")):
        weights = "adapter_model.safetensors" if kind == "adapter" else "model*.safetensors"
        if (folder / file).is_file() and any(folder.glob(weights)):
            yield StoredModel(name.rpartition("/")[2], name, folder, store, _kind(kind), _size(folder.iterdir()))
            return


def _kind(name: str) -> Kind:
    return "adapter" if name == "adapter" else "folder"


def _gguf(path: Path, full_name: str, store: Store) -> StoredModel:
    return StoredModel(
        _FIRST_PART.sub("", path.name).removesuffix(".gguf"), full_name, path, store, "gguf", _size(gguf_parts(path))
    )


def _ggufs(folder: Path) -> list[Path]:
    """GGUF models: no later parts of one, no image projectors."""
    try:
        found = sorted(folder.rglob("*.gguf"))
    except OSError:
        return []
    return [
        path for path in found if path.is_file() and not _LATER_PART.search(path.name) and "mmproj" not in path.name.lower()
    ]


def _hugging_face(environ: Mapping[str, str]) -> Iterator[StoredModel]:
    """models--OWNER--REPO/snapshots/REVISION/...; of several revisions the one that was fetched last."""
    home = Path(environ.get("HF_HOME") or Path(environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    root = Path(environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    for folder in _folders(root):
        kind, *names = folder.name.split("--")
        revisions = sorted(_folders(folder / "snapshots"), key=lambda path: path.stat().st_mtime)
        if kind == "models" and names and revisions:
            yield from _repository(revisions[-1], "/".join(names), "Hugging Face")


def _lm_studio(environ: Mapping[str, str]) -> Iterator[StoredModel]:
    home = Path(environ.get("HOME") or "~").expanduser()
    pointer = home / ".lmstudio-home-pointer"
    homes = [home / ".lmstudio", home / ".cache" / "lm-studio"]
    try:
        homes.insert(0, Path(pointer.read_text(encoding="utf-8").strip()))
    except (OSError, ValueError):
        pass
    seen: set[Path] = set()
    for each in homes:
        root = each / "models"
        if root not in seen:
            seen.add(root)
            yield from _tree(root, "LM Studio")


def _ollama(environ: Mapping[str, str]) -> Iterator[StoredModel]:
    """manifests/HOST/NAMESPACE/MODEL/TAG names blobs/sha256-DIGEST, of which one is a GGUF file."""
    given = environ.get("OLLAMA_MODELS")
    home = Path(environ.get("HOME") or "~").expanduser()
    roots = [Path(given).expanduser()] if given else [home / ".ollama" / "models", Path("/usr/share/ollama/.ollama/models")]
    for root in roots:
        manifests = root / "manifests"
        try:
            files = sorted(path for path in manifests.rglob("*") if path.is_file())
        except OSError:
            continue
        for file in files:
            yield from _ollama_model(file, file.relative_to(manifests).parts, root / "blobs")


def _ollama_model(manifest: Path, parts: tuple[str, ...], blobs: Path) -> Iterator[StoredModel]:
    if len(parts) < 3 or manifest.stat().st_size > _MANIFEST_BYTES:
        return
    try:
        layers = json.loads(manifest.read_text(encoding="utf-8"))["layers"]
        kinds = {layer["mediaType"]: str(layer["digest"]).replace(":", "-") for layer in layers}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return
    *where, model, tag = parts
    name = f"{model}:{tag}" if where[-1] == "library" else f"{where[-1]}/{model}:{tag}"
    blob = blobs / kinds.get(_OLLAMA_MODEL, "none")
    if blob.is_file() and blob.parent == blobs and _OLLAMA_ADAPTER not in kinds:
        yield StoredModel(name, "/".join((*where, f"{model}:{tag}")), blob, "Ollama", "gguf", blob.stat().st_size)


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []


def _size(files: Iterator[Path] | list[Path]) -> int:
    return sum(path.stat().st_size for path in files if path.is_file())
