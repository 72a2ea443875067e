#!/usr/bin/env python3
"""The unchanged `openai` package against real processes: every call that graft has, a whole finetuning job on smollm2."""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from live_graft import SKIPPED, Graft, parse_paths  # noqa: E402
from oracles import cache, find_python  # noqa: E402


def main():
    paths = parse_paths(__doc__, "bin")
    python = find_python("http-clients")
    bases = cache() / "bases"
    if python is None:
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder, Graft(paths.bin, bases, Path(folder)) as graft:
        port = json.loads((graft.data / "ports.json").read_text())["http"]
        client = Path(__file__).with_name("openai_client.py")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
        done = subprocess.run([python, client, f"http://127.0.0.1:{port}"], capture_output=True, text=True, timeout=800,
                              check=False, env=environment)
        assert done.returncode == 0 and done.stdout.splitlines()[-1:] == ["ok"], \
            f"{done.stdout[-2000:]}{done.stderr[-4000:]}\n{graft.process.text()[-3000:]}"
    return 0


sys.exit(main())
