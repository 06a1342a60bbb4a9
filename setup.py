"Who, what and which versions are read from settings.ini; change it there."
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

here = Path(__file__).parent
config = ConfigParser(delimiters="=")
config.read(here / "settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]

setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author=cfg["author"],
    author_email=cfg["author_email"],
    url=cfg["git_url"],
    keywords=cfg["keywords"],
    license="Apache-2.0",
    classifiers=["Development Status :: 3 - Alpha", f"Intended Audience :: {cfg['audience']}",
                 f"Natural Language :: {cfg['language']}", "Programming Language :: Python :: 3"],
    packages=find_packages(include=["bdal", "bdal.*"]),
    package_data={"bdal": ["_mnist/*.xz", "py.typed", "figures.mplstyle", "label.js"]},
    python_requires=">=" + cfg["min_python"],
    install_requires=cfg["requirements"].split(),
    extras_require={extra: cfg[f"{extra}_requirements"].split() for extra in ("dev", "docs", "dask", "label")},
    entry_points={"console_scripts": cfg["console_scripts"].split(), "nbdev": [f"{cfg['lib_name']}={cfg['lib_name']}._modidx:d"]},
    zip_safe=False,
    # a path, and no import hook: else a clone beside a script, whose folder bears our name, is taken for the package
    options={"editable_wheel": {"mode": "compat"}},
)
