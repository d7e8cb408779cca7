"""Nothing happens at import: no socket, no process, no file written, no look at the environment.

The modules are imported in a process of their own, whose audit hook and whose environment write down who
asks for what. A third party that looks around at its own import is not ours to judge, unless it opens a
socket or starts a program.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_WATCHER = r"""
import collections.abc, importlib, json, os, sys

root, modules = sys.argv[1] + os.sep, sys.argv[2:]
breaches, importing = [], [""]
SOCKETS = {"socket.__new__", "socket.connect", "socket.bind"}
PROGRAMS = {"subprocess.Popen", "os.fork", "os.exec", "os.system"}
QUIET_ENOUGH = {"urllib3"}  # asks the kernel once whether it has IPv6, by a socket that it closes at once

def caller():
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(root) and "/.venv/" not in name:
            return "ours", name[len(root):]
        if "site-packages" in name:
            return "theirs", name.split("site-packages" + os.sep)[1].split(os.sep)[0]
        frame = frame.f_back
    return "python", ""

def note(what):
    who, where = caller()
    if importing[0] and where not in QUIET_ENOUGH:
        breaches.append(f"importing {importing[0]}: {where} {what}")

def hook(event, arguments):
    if event in SOCKETS | PROGRAMS:
        note(f"raises {event}")
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        if caller()[0] == "ours":
            note("writes a file")

class Watched(collections.abc.MutableMapping):
    def __init__(self, inner): self.inner = inner
    def look(self):
        if caller()[0] == "ours":
            note("reads the environment")
    def __getitem__(self, key): self.look(); return self.inner[key]
    def __setitem__(self, key, value): self.look(); self.inner[key] = value
    def __delitem__(self, key): self.look(); del self.inner[key]
    def __iter__(self): self.look(); return iter(self.inner)
    def __len__(self): return len(self.inner)
    def copy(self): self.look(); return self.inner.copy()

os.environ = Watched(os.environ)
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
sys.addaudithook(hook)
for name in modules:
    importing[0] = name
    try:
        importlib.import_module(name)
    except Exception as error:
        breaches.append(f"importing {name}: {type(error).__name__}: {error}")
importing[0] = ""
print(json.dumps(breaches))
"""


def loud_imports(root: Path, modules: Sequence[str]) -> list[str]:
    """Return a sentence for each thing that importing `modules` of the tree at `root` does."""
    answer = subprocess.run(
        [sys.executable, "-c", _WATCHER, str(root), *modules],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    breaches: list[str] = json.loads(answer.stdout.splitlines()[-1])
    return breaches
