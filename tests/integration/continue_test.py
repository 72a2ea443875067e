#!/usr/bin/env python3
"""A job that continues a version begins with that version's weights, through the whole service.

A version is trained to be sure of its labels; a job that continues it with one step of a tiny learning rate must give
the same logits, and one with the same step that doesn't continue it must not.
"""
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from live_graft import Graft, parse_paths  # noqa: E402
from tiny_model import write_base  # noqa: E402

TEXTS = ["w1 w3 w5", "w11 w13 w15"]


def write_data(path):
    rows = ["text,label"]
    for i in range(60):
        first = 10 * (i % 2)
        rows.append(f"w{first + i % 7} w{first + i % 5} w{first + i % 3},{'high' if first else 'low'}")
    path.write_text("\n".join(rows) + "\n")


def far(a, b):
    return max(abs(x - y) for row, other in zip(a, b) for x, y in zip(row, other))


def run(bin_folder, folder):
    (folder / "bases").mkdir()
    write_base(folder / "bases" / "tiny")
    data = folder / "data.csv"
    write_data(data)
    with Graft(bin_folder, folder / "bases", folder, "--data-roots", str(folder)) as graft:
        def train(adapter, steps, rate, *more):
            graft.train("--base", "tiny", "--adapter", adapter, "--train", f"file://{data}", "--method", "lora",
                        "--max-steps", str(steps), "--lr", str(rate), *more)
            return graft.logits(f"{adapter}@latest", TEXTS)[0]

        parent = train("parent", 60, 0.02)
        assert far(parent, [row[::-1] for row in parent]) > 1, f"the parent learnt nothing: {parent}"
        scratch = train("scratch", 1, 1e-9)
        child = train("child", 1, 1e-9, "--init-from", "parent@1")
        print(f"from the parent's logits: child {far(child, parent):.2g}, from scratch {far(scratch, parent):.2g}")
        assert far(child, parent) < 1e-4
        assert far(scratch, parent) > 0.5

        report = graft.run("evaluate", "child@1", str(data))
        known = graft.run("bases")
        assert report["evaluation"]["accuracy"] > 0.9, report
        assert report["base_fingerprint"] and report["base_fingerprint"] in str(known), (report, known)


def main():
    arguments = parse_paths(__doc__, "bin")
    with tempfile.TemporaryDirectory(prefix="graft-continue-") as folder:
        run(arguments.bin, Path(folder))


if __name__ == "__main__":
    main()
