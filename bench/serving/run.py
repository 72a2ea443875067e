"""Generation on the CPU: graft beside llama.cpp, transformers with PEFT, and mistral.rs, in turns.

    python run.py GENERATE_BENCH BASES BASE --hf-python PY [--peers-python PY] [--gguf MODEL.gguf] [--rounds 5] [--tokens 64]
                  [--smoke]

GENERATE_BENCH is the built program; BASES/BASE a language model's folder. PY of --hf-python has torch, transformers and peft;
that of --peers-python xllamacpp and mistralrs. MODEL.gguf is the base in BF16 (llama_generate.py --convert). A peer whose
program isn't given is left out, and told.

Three cases: one stream, by the milliseconds between its tokens; 16 streams of the plain base; 16 streams, each with a LoRA of
its own (q_proj and v_proj, rank 8), by all tokens over all seconds, prompts included. Each side runs with each of its options
first, graft too (threads), and goes on with the fastest; then in turns, a round of each. Prints a line a run, then medians,
their ranges and the ratios. --smoke: one round of a few tokens, nothing swept.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PROMPT = "The most important thing to know about the history of the harbour is that"
LIMIT_S = 600


def run(command):
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return {"failed": f"took more than {LIMIT_S} s"}
    lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else {"failed": (result.stderr or result.stdout)[-300:]}


class Side:
    """A program in one case, with the options that were the fastest."""

    def __init__(self, name, command, sweep):
        self.name, self.command, self.sweep, self.options, self.figures = name, command, sweep, sweep[0], []


def threads(*more):
    return [["--threads", str(n), *more] for n in dict.fromkeys((os.cpu_count(), 1))]


def cases(args):
    """(case, figure, sides): the first side is graft's."""
    tokens = ["--tokens", str(args.tokens), "--prompt", PROMPT]

    def graft(*more):
        return Side("graft", [args.generate_bench, *tokens, *more, args.bases, args.base], threads())

    def hf(name, *more):
        base = os.path.join(args.bases, args.base)
        sweep = [["--threads", str(os.cpu_count()), *kind] for kind in
                 (["--dtype", "bfloat16"], ["--dtype", "float32"], ["--dtype", "bfloat16", "--attention", "eager"])]
        return Side(name, [args.hf_python, os.path.join(HERE, "hf_generate.py"), base, *tokens, *more], sweep)

    def llama(*more):
        command = [args.peers_python, os.path.join(HERE, "llama_generate.py"), args.gguf, *tokens, *more]
        return Side("llama.cpp", command, [o + f for o in threads() for f in (["--flash", "auto"], ["--flash", "off"])])

    def mistral(*more):
        base = os.path.join(args.bases, args.base)
        command = [args.peers_python, os.path.join(HERE, "mistralrs_generate.py"), base, *tokens, *more]
        return Side("mistral.rs", command, [["--dtype", "F32"], ["--dtype", "BF16"]])

    has_llama = args.peers_python and args.gguf
    one = [graft()] + ([llama()] if has_llama else [])
    many = [graft("--streams", "16"), hf("transformers", "--streams", "16")]
    many += [llama("--streams", "16")] if has_llama else []
    loras = [graft("--streams", "16", "--adapters", "16"), graft("--streams", "16"),
             hf("PEFT", "--streams", "16", "--adapters", "16")]
    loras[1].name = "graft's plain base"
    loras += [mistral("--streams", "16", "--adapters", "16")] if args.peers_python else []
    return [("one stream", "step_ms", one), ("16 streams", "tokens_per_second", many),
            ("16 streams, 16 LoRAs", "tokens_per_second", loras)]


def better(figure, a, b):
    return a < b if figure == "step_ms" else a > b


def measure(case, figure, sides, args):
    for side in sides:
        best = None
        for options in side.sweep if not args.smoke and len(side.sweep) > 1 else []:
            got = run(side.command + options)
            print(f"{case}: {side.name} {' '.join(options)}: {json.dumps({k: got.get(k) for k in (figure, 'failed')})}", flush=True)
            if figure in got and (best is None or better(figure, got[figure], best)):
                best, side.options = got[figure], options
    for number in range(args.rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            got = run(side.command + side.options)
            side.figures.append(got.get(figure))
            print(f"{case}, round {number + 1}: {side.name} {' '.join(side.options)}: {got.get(figure) or got}", flush=True)


def report(case, figure, sides):
    own = sides[0]
    for side in sides:
        values = [value for value in side.figures if value is not None]
        if not values:
            print(f"{case}: {side.name} gave no figure")
            continue
        line = f"{case}: {side.name} ({' '.join(side.options)}): {figure} median {statistics.median(values):.2f}, " \
               f"{min(values):.2f} to {max(values):.2f}, {len(values)} rounds"
        pairs = [(a, b) for a, b in zip(own.figures, side.figures) if a and b]
        if side is not own and pairs:
            ratios = [a / b for a, b in pairs]
            line += f"; graft's over it, round by round: median {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}"
        print(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generate_bench")
    parser.add_argument("bases")
    parser.add_argument("base")
    parser.add_argument("--hf-python", default=sys.executable)
    parser.add_argument("--peers-python")
    parser.add_argument("--gguf")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--only", help="cases whose names hold this")
    parser.add_argument("--smoke", action="store_true")
    args = parser.parse_args()
    if args.smoke:
        args.rounds, args.tokens = 1, 4
    if not (args.peers_python and args.gguf):
        print("llama.cpp and mistral.rs are left out: give --peers-python and --gguf")
    done = []
    for case, figure, sides in cases(args):
        if args.only and args.only not in case:
            continue
        measure(case, figure, sides, args)
        done.append((case, figure, sides))
    with open("/proc/cpuinfo") as info:
        model = next(line.split(":", 1)[1].strip() for line in info if line.startswith("model name"))
    print(f"{model}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for case in done:
        report(*case)


if __name__ == "__main__":
    main()
