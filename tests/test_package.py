"The package as others have it: built, installed elsewhere, without nbdev, by many processes at once. More Pythons and torches: matrix.py."
import configparser
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

PARTS = {"bdal", "settings.ini", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"}
MODULES = sorted(p.stem for p in (ROOT / "bdal").glob("*.py") if not p.stem.startswith("_") and p.stem != "curves")  # which has old names only


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    "The wheel, unpacked in an empty folder: nothing of the source tree is in reach"
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", ignore=lambda path, names: {n for n in names if n not in PARTS} if Path(path) == ROOT else {"__pycache__"})
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, folder / "source"], check=True)
    site = folder / "site"
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    return site


def outside(code, site, **env):
    "Run code in another folder, where only the wheel can be imported, and nbdev and IPython cannot"
    guard = ("import sys, importlib.abc\n"
             "class No(importlib.abc.MetaPathFinder):\n"
             "    def find_spec(self, name, *a):\n"
             "        if name.split('.')[0] in ('nbdev', 'execnb', 'papermill'): raise ModuleNotFoundError(name)\n"
             "sys.meta_path.insert(0, No())\n")
    return subprocess.run([sys.executable, "-c", guard + code], cwd=site, env={**os.environ, "PYTHONPATH": str(site), **env}, capture_output=True, text=True, timeout=300)


def test_every_public_name_works_from_outside(installed):
    "Each function's body refers only to names that its module has: what passes in a notebook may not pass when imported"
    run = outside(f"""
import builtins, dis, importlib, types
def codes(code):
    yield code
    for c in code.co_consts:
        if isinstance(c, types.CodeType): yield from codes(c)
def functions(o, file):
    if isinstance(o, type): return [f for v in vars(o).values() for f in functions(getattr(v, 'fget', None) or getattr(v, '__func__', None) or getattr(v, 'func', None) or v, file)]
    o = getattr(o, '__wrapped__', o)
    return [o] if isinstance(o, types.FunctionType) and o.__code__.co_filename == file else []
for module in {MODULES}:
    m, n = importlib.import_module('bdal.' + module), 0
    assert m.__file__.startswith({str(installed)!r}), m.__file__
    for name in m.__all__:
        for f in functions(getattr(m, name), m.__file__):
            for code in codes(f.__code__):
                for i in dis.get_instructions(code):
                    if i.opname == 'LOAD_GLOBAL': assert hasattr(m, i.argval) or hasattr(builtins, i.argval), (module, name, i.argval); n += 1
    assert n, module
""", installed)
    assert run.returncode == 0, run.stderr


def test_installed_package_is_of_use(installed, tmp_path):
    "Data from the wheel alone; trials, curves, one's own images, without any development tool"
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    code = f"import os; os.chdir({str(tmp_path / 'work')!r})\n" + (ROOT / "tests" / "use_package.py").read_text()
    run = outside(code, installed, BDAL_HOME=str(tmp_path / "home"))
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip().endswith("used")
    assert (tmp_path / "home" / "MNIST" / "raw" / "train-images-idx3-ubyte").exists()
    assert (tmp_path / "work" / "curve.png").exists()


def test_wheel_has_its_types_and_its_data(installed):
    "The mark that type checkers look for, and every embedded file"
    assert (installed / "bdal" / "py.typed").exists()
    assert {p.name for p in (installed / "bdal" / "_mnist").iterdir()} == {p.name for p in (ROOT / "bdal" / "_mnist").iterdir()}


def test_import_takes_no_longer_than_that_of_torch(installed):
    "What is large is imported where it is used: `bdal` alone has nothing, the loop has torch and numpy"
    run = outside("""
import sys, bdal
assert not {'torch', 'numpy'} & set(sys.modules)
import bdal.steps, bdal.sweep, bdal.dirty_mnist
print({'torchvision', 'matplotlib', 'pandas', 'scipy', 'sklearn', 'joblib', 'distributed', 'IPython'} & set(sys.modules) or 'light')
""", installed)
    assert run.stdout.strip() == "light", run.stdout + run.stderr


def test_many_processes_unpack_at_once(installed, tmp_path):
    code = "from bdal.data import mnist; print(mnist().fingerprint)"
    env = {**os.environ, "BDAL_HOME": str(tmp_path), "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    started = [subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    done = [p.communicate(timeout=200) for p in started]
    assert all(p.returncode == 0 for p in started), [err for _, err in done]
    assert len({out for out, _ in done}) == 1
    assert len(list((tmp_path / "MNIST" / "raw").iterdir())) == 4  # no half-written file is left behind


def test_settings_ini_is_the_only_source_of_metadata(installed):
    ini = configparser.ConfigParser()
    ini.read(ROOT / "settings.ini")
    meta = next(installed.glob("*.dist-info/METADATA")).read_text()
    for field, key in (("Name", "lib_name"), ("Version", "version"), ("Summary", "description")):
        assert f"{field}: {ini['DEFAULT'][key]}" in meta
    assert not [line for line in meta.splitlines() if line.startswith("Requires-Dist: nbdev") and "extra" not in line]
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"version: {ini['DEFAULT']['version']}\n" in citation and f"repository-code: {ini['DEFAULT']['git_url']}\n" in citation
    assert "bdal_sweep=bdal.sweep:cli" in next(installed.glob("*.dist-info/entry_points.txt")).read_text().replace(" ", "")


def test_a_clone_beside_a_script(tmp_path):
    "A folder of our name, where Python starts, is not taken for the package; after a change of setup.py: make setup"
    (tmp_path / "bdal").mkdir()
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    said = "import bdal, bdal.data; from pathlib import Path; print(bdal.__version__, Path(bdal.data.__file__).parent == Path(bdal.__file__).parent)"
    done = subprocess.run([sys.executable, "-c", said], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split()[1] == "True", done.stderr
