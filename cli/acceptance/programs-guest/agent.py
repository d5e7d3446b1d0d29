"""Runs bash with the programs that were put into the image beside Python."""
import os
import subprocess
import sys

TOOLS = "/opt/tools"
env = {
    **os.environ,
    "PATH": f"{TOOLS}/bin:/usr/bin:/bin",
    "LD_LIBRARY_PATH": f"{TOOLS}/lib",
    "GIT_EXEC_PATH": f"{TOOLS}/bin",
    "GIT_TEMPLATE_DIR": "",
    "CC": f"{TOOLS}/bin/cc",
    "PIP": f"{TOOLS}/pip",
    "GIT_CONFIG_NOSYSTEM": "1",
    "HOME": "/tmp",
    "PYTHON": sys.executable,
    "PYTHONDONTWRITEBYTECODE": "1",
    "LC_ALL": "C",
}
sys.exit(subprocess.run([f"{TOOLS}/bin/bash", *sys.argv[1:]], env=env).returncode)
