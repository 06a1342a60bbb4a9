"Does the project have an account on a host of repositories? Until then the site links to itself and to its own files."
import os
from configparser import ConfigParser
from pathlib import Path

PLACEHOLDER = "bdal"

def published():
    "Is `user` in settings.ini somebody's account? `PUBLISHED=1 make docs` shows the site as if it were"
    config = ConfigParser(delimiters="=")
    config.read(Path(__file__).parent.parent/"settings.ini", encoding="utf-8")
    return config["DEFAULT"]["user"] != PLACEHOLDER or bool(os.environ.get("PUBLISHED"))
