#!/usr/bin/env python3
"""Everything that `make` does, for machines with and without make:  python make.py TARGET [NAME=VALUE ...]

This file runs on any Python 3 and on its standard library alone: it makes the environment (.venv),
then hands the work to book/_tools inside it. `python make.py help` lists the targets.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
CHOSEN = os.path.join(
    ROOT, "_build", "python"
)  # an environment of the reader's own: make setup PYTHON=...
LOCKS = ("requirements.lock", "requirements-d2l.lock")
SUPPORTED = ((3, 11), (3, 12), (3, 13))
# Measured on Linux: 6.6 GB of environment (a CUDA build of torch) and 3.1 GB of downloads.
NEEDED_GB = 10.0

TARGETS = {
    "book": "build site/zh and site/en, strictly; nothing to do if nothing changed",
    "page": "build one page again in both languages: P=optimization/gradient-descent",
    "serve": "serve the built site on this machine: PORT=8000",
    "test": "everything: lint, types, tests, chapters under nbval, the site in Chromium; CI=1 forbids skips",
    "test-fast": "lint, unit tests and parity, under a minute",
    "references": "execute chapters and refresh their reference outputs, showing what changed: CHAPTER=...",
    "notebooks": "execute chapters at another size: SCALE=laptop DEVICE=cpu SEED=0 SET=k=v CHAPTER=...",
    "lab": "open JupyterLab with the chapters as notebooks in both languages",
    "export": "write .ipynb files with outputs for both languages to notebooks/",
    "format": "format the code",
    "lock": "resolve the dependencies again (needs uv)",
    "setup": "create or update the environment only: PYTHON=... names another Python or environment",
    "clean": "remove the site and everything that was built; the environment stays",
}


def fail(message):
    """One line that names the remedy."""
    sys.stderr.write("make: " + message + "\n")
    raise SystemExit(2)


def environment_python(folder):
    """The interpreter inside a virtual environment."""
    return os.path.join(
        folder,
        "Scripts" if os.name == "nt" else "bin",
        "python.exe" if os.name == "nt" else "python",
    )


def probe(python):
    """(version, is it an environment of its own?, has it venv?) of another interpreter."""
    code = (
        "import sys, os, importlib.util as u;"
        "own = sys.prefix != sys.base_prefix or os.path.isdir(os.path.join(sys.prefix, 'conda-meta'));"
        "has = u.find_spec('venv') is not None and u.find_spec('ensurepip') is not None;"
        "print('%d.%d %d %d' % (sys.version_info[0], sys.version_info[1], own, has))"
    )
    try:
        text = subprocess.check_output([python, "-c", code], universal_newlines=True)
    except (OSError, subprocess.CalledProcessError) as error:
        fail("PYTHON=%s cannot be run (%s); name a Python 3.11, 3.12 or 3.13" % (python, error))
    version, own, has = text.split()
    return tuple(int(part) for part in version.split(".")), own == "1", has == "1"


def check_supported(version, python):
    """Refuse a Python that the lock was not made for."""
    if version not in SUPPORTED:
        fail(
            "Python 3.11, 3.12 or 3.13 is needed, %s is %d.%d; install one and say: make setup PYTHON=python3.11"
            % ((python,) + version)
        )


def base_python():
    """This Python if it is supported, else the first supported one on PATH."""
    if sys.version_info[:2] in SUPPORTED:
        return sys.executable
    for version in SUPPORTED:
        found = shutil.which("python%d.%d" % version)
        if found:
            return found
    check_supported(sys.version_info[:2], sys.executable)


def check_disk():
    """Refuse to start an installation that cannot end well."""
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < NEEDED_GB:
        fail(
            "%.1f GB of disk are needed for the environment, %.1f GB are free here; free some"
            % (NEEDED_GB, free)
        )


def create_environment(python):
    """Make .venv with `python`."""
    version, _, has_venv = probe(python)
    check_supported(version, python)
    if not has_venv:
        fail(
            "this Python has no venv with pip (ensurepip); on Debian and Ubuntu: apt install python%d.%d-venv"
            % version
        )
    check_disk()
    print("creating .venv with Python %d.%d" % version, flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    subprocess.check_call([python, "-m", "venv", VENV])
    return environment_python(VENV)


def wanted(python):
    """What a finished installation is marked with: the locks, the package's metadata, the interpreter."""
    total = hashlib.sha256(python.encode("utf-8"))
    for name in LOCKS + ("pyproject.toml",):
        with open(os.path.join(ROOT, name), "rb") as file:
            total.update(file.read())
    return total.hexdigest()


def lock_without_cuda(python):
    """The lock, less the CUDA libraries if this environment already has a CPU build of the locked torch."""
    with open(os.path.join(ROOT, LOCKS[0]), encoding="utf-8") as file:
        text = file.read()
    code = "import importlib.metadata as m; print(m.version('torch'))"
    done = subprocess.run(
        [python, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        universal_newlines=True,
    )
    if "+cpu" not in done.stdout:
        return LOCKS[0]
    entries = re.split(r"\n(?=[a-z0-9])", text)
    kept = [entry for entry in entries if not re.match(r"(nvidia-|cuda-|triton==|torch==)", entry)]
    path = os.path.join(ROOT, "_build", "requirements-cpu.lock")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(kept) + "\n")
    print("keeping torch %s, which is a CPU build" % done.stdout.strip(), flush=True)
    return path


def install(python):
    """Install the locks and this project; a marker in the environment says that it is complete."""
    version, _, _ = probe(python)
    check_supported(version, python)
    code = "import sys; print(sys.prefix)"
    prefix = subprocess.check_output([python, "-c", code], universal_newlines=True).strip()
    marker = os.path.join(prefix, ".d2lcompanion-setup")
    if os.path.exists(marker):
        with open(marker, encoding="utf-8") as file:
            if file.read() == wanted(python):
                return
        os.remove(marker)  # until the update is complete
    else:
        check_disk()
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    print(
        "installing the locked dependencies (about 3 GB to download on Linux, less elsewhere)",
        flush=True,
    )
    steps = (
        ["--require-hashes", "-r", lock_without_cuda(python)],
        ["--no-deps", "--require-hashes", "-r", LOCKS[1]],  # d2l pins ancient packages
        ["--no-deps", "--no-build-isolation", "--editable", "."],
    )
    for step in steps:
        if subprocess.call(pip + step, cwd=ROOT):
            fail("pip failed (its message is above); run the same target again to go on")
    with open(marker, "w", encoding="utf-8") as file:
        file.write(wanted(python))


def chosen_python():
    """The environment that an earlier `make setup PYTHON=...` named, if any."""
    if os.path.exists(CHOSEN):
        with open(CHOSEN, encoding="utf-8") as file:
            path = file.read().strip()
        if os.path.exists(path):
            return path
    return None


def works(python):
    """Whether an environment is there and whole: making one may have been interrupted."""
    if not os.path.exists(python):
        return False
    command = [python, "-m", "pip", "--version"]
    return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def setup(requested):
    """An environment with everything in it; returns its interpreter."""
    if requested:
        requested = shutil.which(requested) or requested
        _, own, _ = probe(requested)
        if own:  # the reader's own environment: install there and remember it
            with open(CHOSEN, "w", encoding="utf-8") as file:
                file.write(os.path.abspath(requested))
            python = os.path.abspath(requested)
        else:
            if os.path.exists(CHOSEN):
                os.remove(CHOSEN)
            current = environment_python(VENV)
            same = works(current) and probe(current)[0] == probe(requested)[0]
            python = current if same else create_environment(requested)
    else:
        python = chosen_python() or environment_python(VENV)
        if not works(python):
            python = create_environment(base_python())
    install(python)
    return python


def clean():
    """Remove what can be made again, without any environment."""
    for name in ("site", "_build", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"):
        shutil.rmtree(os.path.join(ROOT, name), ignore_errors=True)


def main(arguments):
    """Set up, then run the target inside the environment."""
    target, settings = (arguments or ["help"])[0], {}
    for word in arguments[1:]:
        name, equals, value = word.partition("=")
        if not equals:
            fail("%r is not NAME=VALUE; targets and their settings: python make.py help" % word)
        settings[name] = value
    if target == "help":
        print(__doc__)
        for name, text in TARGETS.items():
            print("  %-11s %s" % (name, text))
        return 0
    if target not in TARGETS:
        fail("no target %r; there are: %s" % (target, ", ".join(TARGETS)))
    if target == "clean":
        clean()
        return 0
    python = setup(settings.pop("PYTHON", "").strip())
    if target == "setup":
        print("ready: %s" % python)
        return 0
    words = ["%s=%s" % pair for pair in settings.items()]
    environment = dict(os.environ, PYTHONUTF8="1", PYTHONIOENCODING="utf-8")
    return subprocess.call([python, "-m", "book._tools", target] + words, cwd=ROOT, env=environment)


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        raise SystemExit(130)
