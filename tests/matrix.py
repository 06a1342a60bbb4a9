"""The wheel and the sdist in empty environments: `make test-matrix`. The oldest Python with the oldest versions that settings.ini allows, and
every Python from there on with the newest; what can be had decides. An environment takes some gigabytes, and is deleted after its turn."""
import configparser
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIG = configparser.ConfigParser(delimiters="=")
CONFIG.read(ROOT / "settings.ini", encoding="utf-8")
REQUIREMENTS = CONFIG["DEFAULT"]["requirements"].split()
MINOR = int(CONFIG["DEFAULT"]["min_python"].split(".")[1])


def run(*command, **kwargs):
    done = subprocess.run([*map(str, command)], text=True, capture_output=True, **kwargs)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
    return done.stdout


def packages(folder):
    "A wheel and an sdist of the tree as git has it, checked by twine"
    run("git", "worktree", "add", "--detach", folder / "tree", cwd=ROOT)
    try:
        run(sys.executable, "-m", "build", "--outdir", folder / "dist", folder / "tree")
    finally:
        run("git", "worktree", "remove", "--force", folder / "tree", cwd=ROOT)
    files = sorted((folder / "dist").iterdir())
    run(sys.executable, "-m", "twine", "check", "--strict", *files)
    return files


def used(python, package, folder, constraints=()):
    "What use_package.py says in a new environment of this Python"
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | {"BDAL_HOME": str(folder / "home"), "MPLBACKEND": "agg"}
    run(python, "-m", "venv", folder / "venv", env=env)
    try:
        pip = [folder / "venv/bin/python", "-m", "pip"]
        run(*pip, "install", "--quiet", "--no-cache-dir", package, *constraints, env=env)
        run(*pip, "check", env=env)
        (folder / "work").mkdir()
        run(folder / "venv/bin/bdal_sweep", "--help", env=env, cwd=folder / "work")
        return run(folder / "venv/bin/python", "-W", "error::DeprecationWarning:bdal", ROOT / "tests" / "use_package.py", env=env, cwd=folder / "work").strip().splitlines()[-1]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def runs(python):
    "A command may be there and refer to nothing"
    return python and subprocess.run([python, "--version"], capture_output=True).returncode == 0


def main():
    pythons = {minor: path for minor in range(MINOR, MINOR + 10) if runs(path := shutil.which(f"python3.{minor}"))}
    if not pythons:
        sys.exit(f"there is no Python from 3.{MINOR} on")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="bdal-matrix-") as folder:
        sdist, wheel = sorted(packages(Path(folder)), key=lambda p: p.suffix == ".whl")
        print(f"built and checked: {wheel.name}, {sdist.name}", flush=True)
        oldest = [r.replace(">=", "==") for r in REQUIREMENTS]
        jobs = [(min(pythons), wheel, oldest, "oldest")] + [(minor, sdist if minor == max(pythons) else wheel, (), "newest") for minor in pythons]
        for minor, package, constraints, what in jobs:
            try:
                said = used(pythons[minor], package, Path(folder) / f"3.{minor}-{what}", constraints)
            except RuntimeError as error:
                said, failed = f"FAILED\n{error}", failed + 1
            print(f"3.{minor}, {what}, {package.suffix}: {said}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
