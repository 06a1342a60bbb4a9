"What a notebook cannot test of itself: papermill, processes, the installed wheel."
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def mnist_home(tmp_path_factory):
    "MNIST unpacked once, in a folder of the tests' own"
    home = tmp_path_factory.mktemp("bdal-home")
    subprocess.run([sys.executable, "-c", "from bdal.data import unpack_mnist; unpack_mnist()"], check=True, env={**os.environ, "BDAL_HOME": str(home)})
    return home
