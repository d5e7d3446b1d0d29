"""The source distribution, built without network and imported from an empty folder."""

import os
import shutil
import subprocess
import sys
import tarfile

import authority
import pytest
from support import ROOT

PACKAGE = ROOT / "sdks" / "python"


def test_the_sdist_holds_every_file_and_imports_from_an_empty_folder(tmp_path):
    pytest.importorskip("setuptools", reason="this Python has no setuptools")
    copy = tmp_path / "copy"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    build = "import sys, setuptools.build_meta as backend; print(backend.build_sdist(sys.argv[1]))"
    made = subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=copy, capture_output=True, text=True, timeout=120, check=True)
    with tarfile.open(tmp_path / made.stdout.split()[-1]) as archive:
        archive.extractall(tmp_path / "unpacked")  # our own archive, made a line above
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    wanted = {str(path.relative_to(PACKAGE)) for path in (PACKAGE / "src").rglob("*") if path.suffix in (".py", ".typed")}
    assert wanted <= {str(path.relative_to(unpacked)) for path in unpacked.rglob("*")}
    program = "import authority; print(authority.__version__, authority.__file__)"
    env = {**os.environ, "PYTHONPATH": str(unpacked / "src")}
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.split() == [authority.__version__, str(unpacked / "src" / "authority" / "__init__.py")]


def test_only_the_standard_library_is_imported():
    program = "import sys, authority; print(sorted({name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)))"
    if not hasattr(sys, "stdlib_module_names"):
        pytest.skip("Python 3.9 does not list its library")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PACKAGE / "src")}
    ran = subprocess.run([sys.executable, "-S", "-c", program], env=env, capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "['__main__', 'authority']"
