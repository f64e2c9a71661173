"""Debian packages of the tree, each version made once for all tests of a process.

TURNPIKE_BUILT names the build tree that is packaged; without it, it is the release preset's.
"""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILT = os.environ.get("TURNPIKE_BUILT", os.path.join(ROOT, "build/release"))


@functools.cache
def folder():
    made = tempfile.mkdtemp(prefix="turnpike-package-")
    atexit.register(shutil.rmtree, made)
    return made


@functools.cache
def package(version):
    """The path of the package of that version."""
    done = subprocess.run([os.path.join(ROOT, "tools/package"), "--built", BUILT, "--version",
                           version, "--output", folder()], capture_output=True, text=True,
                          timeout=900, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)
    return done.stdout.strip().splitlines()[-1]
