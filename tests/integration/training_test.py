#!/usr/bin/env python3
"""Given graft's initial values and its order of examples, PyTorch's loop arrives at the same weights, for each method.

graft trains 200 steps and exports the version; a job of one step at a vanishing rate exports what it began with. The
library (PEFT, AdapterHub, transformers) loads that, sees the same batches, and its tensors, losses and logits are compared.
Exit code 77: skipped, with a sentence that says what is missing.
"""
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import philox  # noqa: E402
from live_graft import SKIPPED, Graft, parse_paths  # noqa: E402
from oracles import ask_oracle, find_oracles  # noqa: E402
from reference_test import LABELS, write_data  # noqa: E402

ORACLE = Path(__file__).with_name("training_oracle.py")
STEPS, BATCH, SEED = 200, 16, 11
# Of how far a tensor moved: fp32 sums in another order, 200 times over, and a ReLU's unit that one side finds just above
# zero and the other just below. Another order of the examples moves them apart by more than MUTANT.
TOLERANCE, MUTANT = 5e-3, 5e-2
# Where processors differ in more than that, the library's own run is the measure: once more from values whose last bit is
# another, it ends so far from itself, and graft may end some times as far from it.
TIMES_ITSELF = 4
# A key's bias shifts all scores of a query alike: no answer depends on it, its gradient is rounding alone, and Adam makes
# steps of full size of that.
NO_GRADIENT = ("attention.self.key.bias", "attention.k_lin.bias")


def cases(family):
    """name, library, learning rate, options of graft submit."""
    query, saved = ("query", "pooler") if family == "bert" else ("q_lin", "LayerNorm")
    return [
        ("lora", "peft", 1e-3, ["--method", "lora", "--set", "rank=4"]),
        ("rslora", "peft", 1e-3, ["--method", "lora", "--set", "rank=3", "--set", "rslora=true"]),
        ("lora-whole-modules", "peft", 1e-3, ["--method", "lora", "--set", "rank=4", "--set", f"rank_pattern={query}:2",
                                              "--set", "bias=lora_only", "--set", f"modules_to_save={saved}"]),
        ("houlsby", "adapters", 1e-3, ["--method", "bottleneck", "--set", "size=6"]),
        ("parallel", "adapters", 1e-3, ["--method", "bottleneck", "--set", "size=6", "--set", "parallel=true", "--set",
                                        "trained_scaling=channel", "--set", "head=first-token:tanh"]),
        ("pfeiffer", "adapters", 1e-3, ["--method", "bottleneck", "--set", "placement=PFEIFFER", "--set", "size=8"]),
        ("houlsby-unfrozen", "adapters", 5e-4, ["--method", "bottleneck", "--set", "size=6", "--set", "unfreeze_base=true"]),
        ("last-layers", "transformers", 1e-3, ["--method", "last_layers", "--set", "num_layers=1"]),
        ("full", "transformers", 2e-4, ["--method", "full"]),
    ]


def compare_tensors(python, start, end, theirs):
    """{tensor: distance of the end from theirs, of how far theirs moved}, in the oracle's environment."""
    code = """if True:
        import json, sys
        from pathlib import Path
        from safetensors.torch import load_file
        def folder(path):
            tensors = {}
            for file in sorted(Path(path).glob('*.safetensors')): tensors.update(load_file(file))
            return tensors
        start, end, theirs = [load_file(p) if p.endswith('s') else folder(p) for p in sys.argv[1:]]
        assert set(end) == set(theirs) == set(start), set(end) ^ set(theirs)
        moved = {k: (theirs[k] - start[k]).norm().item() for k in end}
        print(json.dumps({k: ((end[k] - theirs[k]).norm() / (moved[k] or 1)).item() for k in end}))"""
    done = subprocess.run([python, "-c", code, start, end, theirs], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return {name: d for name, d in json.loads(done.stdout).items() if not name.endswith(NO_GRADIENT)}


def distance_from_itself(python, task):
    """{tensor: distance of the library's run from one whose initial values differ in the last bit}."""
    out = task["out"].replace(".safetensors", "-jitter.safetensors")
    ask_oracle(python, ORACLE, [{**task, "jitter": True, "out": out}], Path(out).parent)
    return compare_tensors(python, task["start"], out, task["out"])


def check(python, task, oracle, graft_logits):
    counted = compare_tensors(python, task["start"], task["end"], task["out"])
    worst = max(counted, key=counted.get)
    if task["mutant"]:
        print(f"{task['name']:28} tensors {counted[worst]:.1e}  in another order", flush=True)
        assert counted[worst] > MUTANT, "another order of the examples goes unnoticed"
        return
    spread = max(max(row) - min(row) for row in oracle["logits"])
    logits = max(abs(a - b) for x, y in zip(graft_logits, oracle["logits"]) for a, b in zip(x, y)) / spread
    learnt = oracle["losses"][-1] / oracle["losses"][0]
    print(f"{task['name']:28} tensors {counted[worst]:.1e}  logits {logits:.1e}  loss {oracle['losses'][0]:.3f} to "
          f"{oracle['losses'][-1]:.3f}", flush=True)
    assert learnt < 0.9, f"{task['name']} learnt nothing, so equal weights prove nothing"
    if counted[worst] > TOLERANCE:
        itself = max(distance_from_itself(python, task).values())
        print(f"{task['name']:28} {itself:.1e} from itself", flush=True)
        assert counted[worst] <= min(TIMES_ITSELF * itself, MUTANT), (
            f"{task['name']}: {worst} is {counted[worst]:.1e} of its way apart")
    assert logits <= TOLERANCE, task["name"]


def train(graft, folder, adapter, family, data, rate, submit):
    """Trains twice, for the start and the end; exports both; returns their folders."""
    folders = []
    for kind, steps, lr in (("start", 1, 1e-30), ("end", STEPS, rate)):
        name = f"{adapter}-{kind}"
        graft.train("--base", family, "--adapter", name, "--train", data, "--max-steps", str(steps), "--lr", str(lr),
                    "--batch-size", str(BATCH), "--seed", str(SEED), "--precision", "FP32", "--max-length", "40", *submit)
        graft.run("export", name + "@1", folder / "exported" / name)
        folders.append(str(folder / "exported" / name))
    return folders


def main():
    options = parse_paths(__doc__, "source", "bin")
    pythons = find_oracles()
    if pythons is None:
        return SKIPPED

    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        data = folder / "train.csv"
        write_data(data)
        rows = [line.split(",") for line in data.read_text().splitlines()[1:]]
        texts, targets = [row[0] for row in rows], [LABELS.index(row[1]) for row in rows]
        order, other_order = (philox.batches(len(rows), BATCH, seed, STEPS) for seed in (SEED, SEED + 1))
        for family in ("bert", "distilbert"):
            shutil.copytree(options.source / f"tests/golden/data/base-{family}", folder / "bases" / family)
        with Graft(options.bin, folder / "bases", folder) as graft:
            tasks = {library: [] for library in pythons}
            logits = {}
            for family in ("bert", "distilbert"):
                for name, library, rate, submit in cases(family):
                    adapter = f"{family}-{name}"
                    start, end = train(graft, folder, adapter, family, data, rate, submit)
                    logits[adapter] = graft.logits(adapter + "-end@1", texts[:12])[0]
                    tasks[library].append({
                        "name": adapter, "mutant": False, "library": library, "base": str(folder / "bases" / family), "start": start,
                        "end": end, "out": str(folder / f"{adapter}.safetensors"), "labels": LABELS, "texts": texts,
                        "targets": targets, "batches": order, "learning_rate": rate, "asked": texts[:12]})
        mutant = {**tasks["peft"][0], "mutant": True, "batches": other_order, "out": str(folder / "mutant.safetensors")}
        tasks["peft"].append(mutant)
        for library, some in tasks.items():
            for task, oracle in zip(some, ask_oracle(pythons[library], ORACLE, some, folder)):
                check(pythons[library], task, oracle, logits[task["name"]])
    print("the same weights")
    return 0


if __name__ == "__main__":
    sys.exit(main())
