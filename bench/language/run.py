"""LoRA on a causal language model: graft's training against transformers and PEFT, side by side, in turns.

    python run.py TRAIN_BENCH BASES BASE [--device cuda:0] [--batch 8] [--length 512] [--steps 14] [--rounds 3]
                  [--python PY] [--sweep]

TRAIN_BENCH is the built program; BASES/BASE a folder that make_base.py made. Both sides get the same token ids, batch after
batch, rank 8 on q_proj and v_proj, loss on every token, bfloat16 with an fp32 optimizer. --sweep also tries the peer with
checkpointing and with torch.compile first, and goes on with what was fastest. Prints a line a run, then the ratios.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile


def make_data(path, texts, length):
    draw = random.Random(7)
    with open(path, "w") as f:
        f.write("text\n")
        for _ in range(texts):
            f.write(" ".join(f"w{draw.randrange(4096)}" for _ in range(length - 2)) + "\n")


def job(args):
    return {"base": args.base, "adapter": "bench", "task": {"causal_lm": {}},
            "method": {"lora": {"rank": 8, "alpha": 16, "target_modules": ["q_proj", "v_proj"]}},
            "dataset": {"train": "file:///unused", "text_columns": ["text"]},
            "hyperparameters": {"max_steps": args.steps, "batch_size": args.batch, "max_length": args.length,
                                "learning_rate": 2e-4, "precision": args.precision, "lr_schedule": "CONSTANT"}}


def run(command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        return {"failed": (result.stderr or result.stdout)[-400:]}
    return json.loads(result.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train_bench")
    parser.add_argument("bases")
    parser.add_argument("base")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--steps", type=int, default=14)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=4)
    parser.add_argument("--precision", default="BF16")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--sweep", action="store_true")
    args = parser.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory() as folder:
        data, spec = os.path.join(folder, "train.csv"), os.path.join(folder, "job.json")
        make_data(data, args.steps * args.batch, args.length)
        with open(spec, "w") as f:
            json.dump(job(args), f)
        ours = [args.train_bench, "--device", args.device, "--warmup", str(args.warmup), args.bases, args.base, spec, data]
        theirs = [args.python, os.path.join(here, "peft_train.py"), os.path.join(args.bases, args.base), data, "--batch",
                  str(args.batch), "--steps", str(args.steps), "--warmup", str(args.warmup)]
        extra = []
        if args.sweep:
            tried = {}
            for options in ([], ["--compile"], ["--checkpointing"]):
                figures = run(theirs + options)
                print("peer", options, json.dumps(figures), flush=True)
                tried[tuple(options)] = figures.get("tokens_per_second", 0)
            extra = list(max(tried, key=tried.get))
        ratios = []
        for number in range(args.rounds):
            pair = {}
            for name, command in (("graft", ours), ("peer", theirs + extra))[::1 if number % 2 == 0 else -1]:
                pair[name] = run(command)
                print(name, json.dumps(pair[name]), flush=True)
            if "failed" not in pair["graft"] and "failed" not in pair["peer"]:
                graft = pair["graft"]["tokens"] / pair["graft"]["seconds"]
                ratios.append(graft / pair["peer"]["tokens_per_second"])
                print(f"round {number + 1}: graft {graft:.0f} tokens/s, peer {pair['peer']['tokens_per_second']:.0f}, "
                      f"ratio {ratios[-1]:.3f}", flush=True)
    if ratios:
        print(f"ratio of tokens/s: median {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}, "
              f"{len(ratios)} rounds, peer with {' '.join(extra) or 'no option'}")


if __name__ == "__main__":
    main()
