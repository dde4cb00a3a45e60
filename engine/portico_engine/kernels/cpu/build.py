"""Compiling the CPU's kernels, once for each machine and version of the sources, into the user's cache folder.

It owns the compiler's options, the library's name and place, and the rule that nobody waits: a start that finds no library has
it built by a process of its own. It knows no torch and no operation. A folder that another user could write to is not used.

    python -m portico_engine.kernels.cpu.build    builds now, and says what it did
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import platformdirs

SOURCES = Path(__file__).with_name("source")
FOLDER = "PORTICO_KERNELS"  # the environment's name of another folder, or "off"
_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-Wno-psabi")
# Apple's clang has no option for OpenMP, but its compiler behind that has.
_OPENMP = ("-Xclang", "-fopenmp") if sys.platform == "darwin" else ("-fopenmp",)
_SECONDS = 600  # a compiler that takes longer is given up
_building: list[subprocess.Popen[bytes]] = []  # by this process, held so that they are waited for


class KernelsUnavailable(Exception):
    """There is no compiled library; the message says why. `building`: the next start is to have one."""

    def __init__(self, message: str, *, building: bool = False) -> None:
        super().__init__(message)
        self.building = building


def kernels_folder() -> Path | None:
    """Where libraries lie; None where they are switched off."""
    named = os.environ.get(FOLDER)
    if named == "off":
        return None
    return Path(named).expanduser() if named else platformdirs.user_cache_path("portico", appauthor=False) / "kernels"


@cache
def library_name() -> str:
    """What this machine's library is called: its sources, the compiler's options and the CPU's instructions decide."""
    digest = hashlib.sha256(repr((_FLAGS, _OPENMP, platform.system(), platform.machine(), _cpu_features())).encode())
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return f"cpu-{digest.hexdigest()[:16]}"


def find_library() -> Path:
    """The library of this machine. Raises KernelsUnavailable where there is none, and says whether one could be built."""
    folder = kernels_folder()
    if folder is None:
        raise KernelsUnavailable(f"{FOLDER} is off")
    path = folder / f"{library_name()}.so"
    try:
        if not _is_ours(folder):
            raise KernelsUnavailable(f"{folder} can be written by others; make it yours alone (chmod 700)")
        if path.is_file():
            return path
        raise KernelsUnavailable(path.with_suffix(".failed").read_text("utf-8").strip())
    except FileNotFoundError:
        pass
    except OSError as error:
        raise KernelsUnavailable(f"{folder} can't be used: {error.strerror}") from None
    if _compiler() is None:
        raise KernelsUnavailable("there is no C++ compiler (c++, g++ or clang++, or the one that CXX names)")
    raise KernelsUnavailable("they are being compiled for this machine; the next start has them", building=True)


def build_beside() -> None:
    """Have the library built by a process that outlives this one and takes only what others leave of the processor."""
    _building[:] = [process for process in _building if process.poll() is None]
    if not _building:
        command = [sys.executable, "-P", "-m", __name__]
        quiet = subprocess.DEVNULL
        _building.append(subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True))


def build(*, again: bool = False) -> Path:
    """Compile and check the library, where there is none yet. Raises KernelsUnavailable; what failed is kept, for later starts
    to say and not to try: `again` does.
    """
    folder = kernels_folder()
    if folder is None:
        raise KernelsUnavailable(f"{FOLDER} is off")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise KernelsUnavailable(f"{folder} can't be used: {error.strerror}") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who comes second finds what the first has built
        path = folder / f"{library_name()}.so"
        if again:
            path.with_suffix(".failed").unlink(missing_ok=True)
        try:
            return find_library()
        except KernelsUnavailable as missing:
            if not missing.building:
                raise
        with tempfile.TemporaryDirectory(dir=folder) as work:
            made = Path(work) / "library.so"
            try:
                _compile(made)
                _check(made)
            except KernelsUnavailable as error:
                path.with_suffix(".failed").write_text(f"{error}\n", "utf-8")
                raise
            os.replace(made, path)
    return path


def _compile(made: Path) -> None:
    compiler = _compiler()
    assert compiler is not None, "looked for before"
    objects = []
    for source in sorted(SOURCES.glob("*.cpp")):
        objects.append(made.with_name(f"{source.stem}.o"))
        _run([*compiler, *_FLAGS, *_OPENMP, _machine_flag(), "-c", str(source), "-o", str(objects[-1])], "the C++ compiler")
    # Without -fopenmp: the threads are those of torch's OpenMP, which is loaded for all to see.
    loose = ["-Wl,-undefined,dynamic_lookup"] if sys.platform == "darwin" else []
    _run([*compiler, "-shared", *loose, *map(str, objects), "-o", str(made)], "the linker")


def _machine_flag() -> str:
    """All instructions that this machine has."""
    return "-mcpu=native" if platform.machine() in ("aarch64", "arm64") else "-march=native"


def _check(made: Path) -> None:
    """In a process of its own: what was compiled may do anything."""
    _run([sys.executable, "-P", "-m", f"{__package__}.check", str(made)], "the check of what was compiled")


def _run(command: list[str], what: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KernelsUnavailable(f"{what} failed: {error}") from None
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line.lower()), f"exit status {done.returncode}")
        raise KernelsUnavailable(f"{what} failed: {said.strip()}")


def _compiler() -> list[str] | None:
    named = shlex.split(os.environ.get("CXX", ""))
    if named:
        return named if _program(named[0]) else None
    found = next(filter(None, map(_program, ("c++", "g++", "clang++"))), None)
    return None if found is None else [found]


def _program(name: str) -> str | None:
    """By PATH's absolute folders: the working directory, which a relative one means, is no place for programs."""
    return shutil.which(name, path=os.pathsep.join(filter(os.path.isabs, os.get_exec_path())))


def _cpu_features() -> str:
    """The instructions that this CPU has, as its system lists them."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.processor()
    return next((line for line in text.splitlines() if line.lower().startswith(("flags", "features"))), "")


def _is_ours(folder: Path) -> bool:
    """Could nobody else have put a library there? Raises OSError where it can't be looked at."""
    found = folder.stat()
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def main() -> int:
    """The command."""
    os.nice(19)
    try:
        print(f"the CPU's kernels are in {build(again=True)}")
    except KernelsUnavailable as error:
        print(f"no kernels for this CPU: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
