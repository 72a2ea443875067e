#!/usr/bin/env python3
"""Training speed: graft against transformers' Trainer with PEFT, side by side on the same cores or GPU.

The jobs stand in jobs.py. Each round runs every program once, in turn, so that whatever else the machine does meets them all;
what counts is the median over rounds of the ratio of real (non-padding) tokens a second within a round. A language model's
peer first runs with each of its options (types, batches, attention, threads, compiled or not), which are printed, and goes on
with the fastest; beside graft's steps stands what their matrix products take alone, measured in the same run. Needs only the
standard library; the peer runs in the environment that scripts/setup.sh makes for the tests.

  bench/training/run.py --data movie_data.csv.gz --rounds 5
  bench/training/run.py --job language --data instruction-data.json --rounds 5
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import random
import statistics
import subprocess
import sys
import tempfile

from jobs import JOBS

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("GRAFT_CACHE", pathlib.Path.home() / ".cache" / "graft"))
LIMIT_S = 900  # Of one run of the sweep.


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", choices=JOBS, default="classification")
    parser.add_argument("--data", required=True, help="; ".join(f"{name}: {job.data}" for name, job in JOBS.items()))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--examples", "--reviews", type=int, help="the first --warmup steps aren't timed; default: the job's")
    parser.add_argument("--warmup", type=int)
    parser.add_argument("--sweep-examples", type=int, default=96, help="of each run of the sweep; 0: no sweep")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda:N, of both sides")
    parser.add_argument("--bases", default=str(CACHE / "bases"))
    parser.add_argument("--base", help="default: the job's")
    parser.add_argument("--graft", default=str(ROOT / "build/release/bin/train_bench"),
                        help="cmake --build build/release --target train_bench makes it; default: %(default)s")
    parser.add_argument("--python", default=str(CACHE / "oracle-peft/bin/python"))
    parser.add_argument("--defaults", action="store_true", help="also run the peer as it comes, in the first round")
    parser.add_argument("--compile", action="store_true", help="also run the peer under torch.compile, where nothing is swept")
    parser.add_argument("--write", help="Markdown file for the result")
    chosen = parser.parse_args()
    job = JOBS[chosen.job]
    chosen.base = chosen.base or job.base
    chosen.examples = chosen.examples or job.examples
    chosen.warmup = job.warmup if chosen.warmup is None else chosen.warmup
    if chosen.warmup < 1:
        parser.error("--warmup must be 1 or more: the clock starts at the end of a step")
    return chosen, job


def run(command, limit=None):
    """The program's figures, or what went wrong."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"failed": f"took more than {limit} s"}
    if done.returncode != 0:
        return {"failed": f"ended with {done.returncode}: {done.stderr[-2000:]}"}
    return json.loads(done.stdout.strip().splitlines()[-1])


def speed(figures):
    return figures["tokens"] / figures["seconds"]


def swept(command, groups, examples):
    """The options that made the peer the fastest, group by group."""
    best, most = [], 0
    tried = {}
    for group in groups:
        base, winner = list(best), None
        for more in group:
            key = tuple(base + more)
            if key not in tried:
                figures = run([*command, *key, "--examples", str(examples)], LIMIT_S)
                tried[key] = 0 if "failed" in figures else speed(figures)
                told = figures["failed"] if "failed" in figures else f"{tried[key]:.0f} tokens/s  loss {figures['loss']:.4f}"
                print(f"peer {' '.join(key)}: {told}", flush=True)
            if winner is None or tried[key] > most:
                most, winner = tried[key], key
        best = list(winner)
    return best


def commands(options, job, folder):
    data = folder / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in job.rows(options.data, options.examples)))
    result = {}
    for precision in job.precisions:
        spec = folder / f"{precision}.json"
        spec.write_text(json.dumps(job.spec(options.base, precision)))
        result["graft " + precision.lower()] = [
            options.graft, "--threads", str(options.threads), "--warmup", str(options.warmup), "--device", options.device,
            *job.graft, options.bases, options.base, str(spec), str(data)]
    peer = [options.python, str(pathlib.Path(__file__).with_name("hf_train.py")),
            str(pathlib.Path(options.bases) / options.base), str(data), "--threads", str(options.threads),
            "--warmup", str(options.warmup), "--device", options.device, "--output", str(folder / "hf"), *job.peer]
    best = swept(peer, job.sweep, options.sweep_examples) if options.sweep_examples else []
    for name, more in job.peers.items():
        result[" ".join([name, *best])] = [*peer, *more, *best]
        if options.compile and not job.sweep:
            result[f"{name} compiled"] = [*peer, *more, "--compile"]
    if options.defaults:
        result["peer fp32 as it comes"] = [*peer, "--precision", "fp32", "--defaults"]
    return result


def spread(values, digits=2):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def pairs_of(speeds):
    """(graft's, the peer's, note) of each ratio."""
    graft = [name for name in speeds if name.startswith("graft")]
    tuned = [name for name in speeds if name.startswith("peer") and "as it comes" not in name]
    best = max(tuned, key=lambda name: statistics.median(speeds[name]))
    pairs = [(ours, name) for ours in graft for name in tuned if name.startswith("peer " + ours.removeprefix("graft "))]
    pairs += [(ours, best) for ours in graft if (ours, best) not in pairs]
    pairs += [(graft[0], name) for name in speeds if "as it comes" in name]
    return [(ours, theirs, ", the peer at its best" if theirs == best else "") for ours, theirs in pairs]


def report(options, speeds, shares, rows):
    lines = ["| program | real tokens/s, median (spread) |", "|---|---|"]
    lines += [f"| {name} | {spread(values, 0)} |" for name, values in speeds.items()]
    lines += ["", "| ratio | median of paired ratios (spread) | rounds |", "|---|---|---|"]
    for ours, theirs, note in pairs_of(speeds):
        ratios = [a / b for a, b in zip(speeds[ours], speeds[theirs])]
        lines.append(f"| {ours} / {theirs}{note} | {spread(ratios)} | {len(ratios)} |")
    for name, values in shares.items():
        lines.append(f"| the steps' products alone / {name}, seconds | {spread(values)} | {len(values)} |")
    for name, values in rows.items():
        lines.append(f"| rows that {name} computes / tokens: what sequences begin with alike is computed once | {spread(values)} "
                     f"| {len(values)} |")
    flags = pathlib.Path("/proc/cpuinfo").read_text() if platform.system() == "Linux" else ""
    units = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f" {flag} " in flags]
    # The command without the folders of this machine.
    command = " ".join(os.path.basename(word) if os.path.isabs(word) else word for word in sys.argv[1:])
    lines += ["", f"{datetime.date.today()}, {options.threads} threads, {platform.machine()} with {', '.join(units)}, load "
                  f"{os.getloadavg()[0]:.1f}; {options.rounds} rounds, {options.examples} examples. "
                  f"`bench/training/run.py {command}`"]
    return "\n".join(lines) + "\n"


def main():
    chosen, job = options()
    with tempfile.TemporaryDirectory() as folder:
        programs = commands(chosen, job, pathlib.Path(folder))
        speeds, shares, rows = {name: [] for name in programs}, {}, {}
        for number in range(chosen.rounds):
            # Another order each round: nobody is always the one after the hottest.
            names = list(programs)
            random.Random(number).shuffle(names)
            for name in names:
                if "as it comes" in name and number > 0:
                    continue
                result = run(programs[name])
                if "failed" in result:
                    sys.exit(f"{' '.join(programs[name])} {result['failed']}")
                speeds[name].append(speed(result))
                line = f"round {number + 1}  {name:24} {speeds[name][-1]:8.0f} tokens/s  loss {result['loss']:.4f}"
                # Where others take a part of the cores the clock tells little, and this more, of one thread.
                line += f"  {result['tokens'] / result['cpu_seconds']:.0f} tokens a second of the processor's"
                if result.get("rows", result["tokens"]) != result["tokens"]:
                    rows.setdefault(name, []).append(result["rows"] / result["tokens"])
                if "product_seconds" in result:
                    shares.setdefault(name, []).append(result["product_seconds"] / result["seconds"])
                    line += f"  products alone: {shares[name][-1]:.3f} of the time, " \
                            f"{result['product_cpu_seconds'] / result['cpu_seconds']:.3f} of the processor's"
                print(line, flush=True)
    text = report(chosen, speeds, shares, rows)
    print("\n" + text)
    if chosen.write:
        pathlib.Path(chosen.write).write_text(text)


if __name__ == "__main__":
    main()
