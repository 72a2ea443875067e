#!/usr/bin/env python3
"""The console in a real browser: upload, submit, a curve that moves, compare, promote, a playground whose answer changes.

axe-core finds nothing in both colour schemes, no error in the console, no request to anyone else, no page wider than a phone.
GRAFT_CONSOLE_PICTURES names a folder that keeps the pictures.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from live_graft import SKIPPED, Graft, parse_paths  # noqa: E402
from oracles import cache  # noqa: E402

GOOD = ["wonderful", "moving", "warm", "funny", "great", "brilliant"]
BAD = ["dull", "slow", "cold", "boring", "awful", "flat"]


def reviews(path):
    lines = ["text,label"]
    for i in range(48):
        word, label = (GOOD[i // 2 % 6], "good") if i % 2 == 0 else (BAD[i // 2 % 6], "bad")
        lines.append(f"\"a {word} film, number {i}\",{label}")
    path.write_text("\n".join(lines) + "\n")


def main():
    paths = parse_paths(__doc__, "bin")
    modules = cache() / "node"
    browser = shutil.which("chromium")
    for thing, there in (("chromium", browser), (modules, modules.exists()), ("node", shutil.which("node"))):
        if not there:
            print(f"skipped: {thing} is missing; scripts/setup.sh installs it")
            return SKIPPED
    with tempfile.TemporaryDirectory() as folder, Graft(paths.bin, cache() / "bases", Path(folder)) as graft:
        folder = Path(folder)
        reviews(folder / "reviews.csv")
        pictures = os.environ.get("GRAFT_CONSOLE_PICTURES", folder / "pictures")
        address = f"http://127.0.0.1:{json.loads((graft.data / 'ports.json').read_text())['http']}"
        done = subprocess.run(["node", Path(__file__).with_name("console_driver.mjs"), address, modules, browser, pictures,
                               folder / "reviews.csv", "minilm", "smollm2"], capture_output=True, text=True, timeout=800, check=False,
                              env={**os.environ, "HOME": str(folder)})
        assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-4000:]}\n{graft.process.text()[-2000:]}"
    return 0


sys.exit(main())
