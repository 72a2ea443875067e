#!/usr/bin/env python3
"""The unchanged `openai` packages, Python's and npm's, against real processes: every call that graft has, a whole finetuning job on smollm2."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from live_graft import SKIPPED, Graft, parse_paths  # noqa: E402
from oracles import cache, find_python  # noqa: E402


def run(graft, command):
    """A client whose last word must be ok."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=800, check=False, env=environment)
    assert done.returncode == 0 and done.stdout.splitlines()[-1:] == ["ok"], \
        f"{done.stdout[-2000:]}{done.stderr[-4000:]}\n{graft.process.text()[-3000:]}"


def main():
    paths = parse_paths(__doc__, "bin")
    python, node = find_python("http-clients"), shutil.which("node")
    if python is None or node is None:
        print("skipped: the clients are missing; scripts/setup.sh installs them")
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder, Graft(paths.bin, cache() / "bases", Path(folder)) as graft:
        address = f"http://127.0.0.1:{json.loads((graft.data / 'ports.json').read_text())['http']}"
        here = Path(__file__)
        run(graft, [python, here.with_name("openai_client.py"), address])
        run(graft, [node, here.with_name("openai_client.mjs"), address, cache() / "node"])
    return 0


sys.exit(main())
