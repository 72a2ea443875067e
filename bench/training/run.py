#!/usr/bin/env python3
"""Training speed: graft against transformers' Trainer with PEFT, side by side on the same cores or GPU.

The job: LoRA rank 8 on query and value, batches of 16 reviews cut at 512 tokens, one epoch. Each round runs every program once, in
turn, so that whatever else the machine does meets them all; what counts is the median over rounds of the ratio of real
(non-padding) tokens a second within a round. Needs only the standard library; the peer runs in the environment that
scripts/setup.sh makes for the tests.

  bench/training/run.py --data movie_data.csv.gz --rounds 5
"""

import argparse
import csv
import datetime
import gzip
import json
import os
import pathlib
import platform
import random
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("GRAFT_CACHE", pathlib.Path.home() / ".cache" / "graft"))


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="CSV (or .csv.gz) with the columns review and sentiment")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reviews", type=int, default=288, help="the first --warmup steps of 16 aren't timed")
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda:N, of both sides")
    parser.add_argument("--bases", default=str(CACHE / "bases"))
    parser.add_argument("--base", default="minilm")
    parser.add_argument("--graft", default=str(ROOT / "build/release/bin/train_bench"),
                        help="cmake --build build/release --target train_bench makes it; default: %(default)s")
    parser.add_argument("--python", default=str(CACHE / "oracle-peft/bin/python"))
    parser.add_argument("--defaults", action="store_true", help="also run the peer as it comes, in the first round")
    parser.add_argument("--compile", action="store_true", help="also run the peer under torch.compile")
    parser.add_argument("--write", help="Markdown file for the result")
    chosen = parser.parse_args()
    if chosen.warmup < 1:
        parser.error("--warmup must be 1 or more: the clock starts at the end of a step")
    return chosen


def reviews(path, count):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    random.Random(7).shuffle(rows)
    return [{"text": row["review"], "label": row["sentiment"]} for row in rows[:count]]


def job(base, precision):
    return {
        "base": base, "adapter": "bench", "task": {"sequence_classification": {}},
        "method": {"lora": {"rank": 8, "alpha": 16, "target_modules": ["query", "value"]}},
        "dataset": {"train": "bench", "text_columns": ["text"], "label_column": "label"},
        "hyperparameters": {"epochs": 1, "batch_size": 16, "max_length": 512, "learning_rate": 5e-4,
                            "precision": precision}}


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def commands(options, folder):
    data = folder / "reviews.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in reviews(options.data, options.reviews)))
    result = {}
    for precision in ("fp32", "bf16"):
        spec = folder / f"{precision}.json"
        spec.write_text(json.dumps(job(options.base, precision.upper())))
        result["graft " + precision] = [
            options.graft, "--threads", str(options.threads), "--warmup", str(options.warmup), "--device", options.device,
            options.bases, options.base, str(spec), str(data)]
    peer = [options.python, str(pathlib.Path(__file__).with_name("hf_train.py")),
            str(pathlib.Path(options.bases) / options.base), str(data), "--threads", str(options.threads),
            "--warmup", str(options.warmup), "--device", options.device, "--output", str(folder / "hf")]
    for precision in ("fp32", "bf16"):
        result["peer " + precision] = [*peer, "--precision", precision]
        if options.compile:
            result[f"peer {precision} compiled"] = [*peer, "--precision", precision, "--compile"]
    if options.defaults:
        result["peer fp32 as it comes"] = [*peer, "--precision", "fp32", "--defaults"]
    return result


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def report(options, speeds):
    rounds = len(speeds["graft fp32"])
    lines = ["| program | real tokens/s, median (spread) |", "|---|---|"]
    for name, values in speeds.items():
        lines.append(f"| {name} | {statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f}) |")
    tuned = [name for name in speeds if name.startswith("peer") and "as it comes" not in name]
    best = max(tuned, key=lambda name: statistics.median(speeds[name]))
    pairs = [(f"graft {kind}", name) for kind in ("fp32", "bf16") for name in tuned if f"peer {kind}" in name]
    pairs += [(ours, best) for ours in ("graft fp32", "graft bf16") if (ours, best) not in pairs]
    pairs += [("graft fp32", name) for name in speeds if "as it comes" in name]
    lines += ["", "| ratio | median of paired ratios (spread) | rounds |", "|---|---|---|"]
    for ours, theirs in pairs:
        ratios = [a / b for a, b in zip(speeds[ours], speeds[theirs])]
        note = ", the peer at its best" if theirs == best else ""
        lines.append(f"| {ours} / {theirs}{note} | {spread(ratios)} | {len(ratios)} |")
    flags = pathlib.Path("/proc/cpuinfo").read_text() if platform.system() == "Linux" else ""
    units = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f" {flag} " in flags]
    # The command without the folders of this machine.
    command = " ".join(os.path.basename(word) if os.path.isabs(word) else word for word in sys.argv[1:])
    lines += ["", f"{datetime.date.today()}, {options.threads} threads, {platform.machine()} with {', '.join(units)}; "
                  f"{rounds} rounds, {options.reviews} reviews. `bench/training/run.py {command}`"]
    return "\n".join(lines) + "\n"


def main():
    chosen = options()
    with tempfile.TemporaryDirectory() as folder:
        programs = commands(chosen, pathlib.Path(folder))
        speeds = {name: [] for name in programs}
        for number in range(chosen.rounds):
            # Another order each round: nobody is always the one after the hottest.
            names = list(programs)
            random.Random(number).shuffle(names)
            for name in names:
                if "as it comes" in name and number > 0:
                    continue
                result = run(programs[name])
                speeds[name].append(result["tokens"] / result["seconds"])
                print(f"round {number + 1}  {name:24} {speeds[name][-1]:8.0f} tokens/s  loss {result['loss']:.4f}",
                      flush=True)
    text = report(chosen, speeds)
    print("\n" + text)
    if chosen.write:
        pathlib.Path(chosen.write).write_text(text)


if __name__ == "__main__":
    main()
