#!/usr/bin/env python3
"""docs/openapi.yaml against a real server: schemathesis over all of it, and hostile values in every text that it names.

A file, jobs and an adapter are there, so that ids can name something. --long asks more of each operation.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from live_graft import SKIPPED, Graft  # noqa: E402
from oracles import cache, find_python  # noqa: E402

ROWS = "text,label\n" + "".join(f"{word} number {i},{label}\n" for i in range(8)
                                for word, label in (("good", "fine"), ("bad", "poor")))


def prepare(graft, folder):
    """What names can name: {name in the document: value}."""
    data = folder / "train.csv"
    data.write_text(ROWS)
    uri = graft.run("upload", data)["uri"]
    job = graft.train("--base", "minilm", "--adapter", "fine", "--train", uri, "--method", "lora", "--set", "rank=2",
                      "--epochs", "1", "--promote")["name"].removeprefix("jobs/")
    # A base answers a first request only once a worker has read it.
    graft.run("generate", "--base", "smollm2", "--max-tokens", "1", "x")
    return {"job": job, "adapter": "fine", "file": "file-" + uri.split("/")[3], "dataset": uri.split("/")[3], "uri": uri}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--long", action="store_true")
    options = parser.parse_args()
    python = find_python("http-clients")
    if python is None:
        return SKIPPED
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Graft(options.bin, cache() / "bases", folder) as graft:
            names = prepare(graft, folder)
            port = json.loads((graft.data / "ports.json").read_text())["http"]
            task = {"url": f"http://127.0.0.1:{port}", "names": names, "long": options.long, "folder": name,
                    "document": str(options.source.resolve() / "docs/openapi.yaml")}
            (folder / "task.json").write_text(json.dumps(task))
            start = time.monotonic()
            done = subprocess.run([python, Path(__file__).with_name("contract_client.py"), folder / "task.json"], check=False,
                                  capture_output=True, text=True, env={**os.environ, "GRAFT_CONTRACT": str(folder / "task.json")})
            print(f"{done.stdout[-20000:]}{done.stderr[-4000:]}\n{time.monotonic() - start:.0f} s")
            graft.process.check()
            assert done.returncode == 0 and done.stdout.splitlines()[-1:] == ["ok"], graft.process.text()[-3000:]
    return 0


sys.exit(main())
