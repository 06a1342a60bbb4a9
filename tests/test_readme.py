"README.md is made from the first page by docs/readme.py."
import subprocess
import sys

from conftest import ROOT

sys.path.append(str(ROOT / "docs"))
from readme import as_readme  # noqa: E402


def test_links_lead_from_the_folder_above():
    assert as_readme("[a](01_model.ipynb) [b](deeper/race.ipynb) [c](../results/REPORT.md) [d](https://x.org/a.ipynb)\n") == (
        "[a](nbs/01_model.ipynb) [b](nbs/deeper/race.ipynb) [c](results/REPORT.md) [d](https://x.org/a.ipynb)\n")


def test_code_is_python_unless_it_says_otherwise():
    page = "one\n```\nx = 1\n```\ntwo\n```sh\nls\n```\nthree\n```\ny\n```\n"
    assert as_readme(page) == "one\n```python\nx = 1\n```\ntwo\n```sh\nls\n```\nthree\n```python\ny\n```\n"


def test_readme_is_in_sync():
    made = subprocess.run([sys.executable, ROOT / "docs" / "readme.py"], capture_output=True, text=True, check=True).stdout
    assert made == (ROOT / "README.md").read_text(encoding="utf-8")
