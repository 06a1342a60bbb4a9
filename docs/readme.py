"README.md from the first page of the site: `python docs/readme.py > README.md`."
import re
import sys
from pathlib import Path

from nbconvert import MarkdownExporter
from traitlets.config import Config

PAGE = Path(__file__).parent.parent / "nbs" / "index.ipynb"
KEEP = Config()
KEEP.RegexRemovePreprocessor.patterns = [r"#\| *hide"]
KEEP.TagRemovePreprocessor.enabled = True
KEEP.TagRemovePreprocessor.remove_input_tags = {"remove-input"}


def as_readme(text):
    "Markdown of a page in nbs as markdown of the folder above: links lead there, code is Python"
    text = re.sub(r"\]\(([0-9a-z_/]*\.ipynb)\)", r"](nbs/\1)", text.replace("](../", "]("))
    pieces = re.split(r"(?m)^```(.*)\n", text)   # text, language, code, "", text, language, ...
    for i in range(1, len(pieces), 4): pieces[i] = pieces[i] or "python"
    return pieces[0] + "".join(f"```{name}\n{rest}" for name, rest in zip(pieces[1::2], pieces[2::2]))


if __name__ == "__main__":
    sys.stdout.write(as_readme(MarkdownExporter(config=KEEP).from_filename(str(PAGE))[0]))
