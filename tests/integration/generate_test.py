#!/usr/bin/env python3
"""Texts, chats and scores over real processes: the CLI, a server and its worker, on the golden cases' tiny llama.

What a stream's parts say, that one seed gives one text, that many clients are served at once, that a chat keeps its conversation,
that scores are those that the text was generated with, what the metrics count, and what a small cache bounds.
"""
import concurrent.futures
import json
import os
import re
import shutil
import sys
import tempfile
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from live_graft import Graft, parse_paths, poll  # noqa: E402

BASE = "base-llama"
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "decoders"


class Texts:
    """What was generated, counted."""

    def __init__(self, graft):
        self.graft, self.calls = graft, 0

    def generate(self, *arguments, text=None):
        """Generates; returns the parts of the stream."""
        code, output, error = self.graft.call("generate", "--base", BASE, *arguments, text=text)
        assert code == 0, error
        self.calls += 1
        return [json.loads(line) for line in output.splitlines()]


def joined(parts, index=0):
    return "".join(part.get("text", "") for part in parts if part.get("index", 0) == index)


def tokens(parts, index=0):
    return [token.get("id", 0) for part in parts if part.get("index", 0) == index for token in part["tokens"]]


def check_parts(texts):
    parts = texts.generate("--max-tokens", 20, "--min-tokens", 20, "--n", 2, "--seed", 1, "--temperature", 1, "the cat sat")
    for index in (0, 1):
        own = [part for part in parts if part.get("index", 0) == index]
        assert len(tokens(parts, index)) == 20
        assert [part.get("finish_reason", "") for part in own] == [""] * (len(own) - 1) + ["length"], own
        assert int(own[-1]["generated_tokens"]) == 20
    provenance = {json.dumps(part["provenance"], sort_keys=True) for part in parts}
    assert len(provenance) == 1 and json.loads(provenance.pop())["base"] == BASE
    assert tokens(parts, 0) != tokens(parts, 1)


def check_seeds(texts):
    """One seed gives one text. (Beside others too, which the engine's own tests show; here that is left open, for precision and
    products are the machine's.)"""
    def ask(seed):
        return tokens(texts.generate("--seed", seed, "--temperature", 1, "--max-tokens", 60, "--min-tokens", 60, "the cat"))
    alone = [ask(seed) for seed in range(4)]
    assert len({tuple(text) for text in alone}) == 4
    assert ask(2) == alone[2]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        beside = list(pool.map(ask, [seed % 4 for seed in range(12)]))
    assert [len(text) for text in beside] == [60] * 12


def check_chat(graft, texts):
    code, output, error = graft.call("chat", "--base", BASE, "--max-tokens", 8, "--temperature", 0, text="hello\nand you?\n")
    assert code == 0, error
    parts = [json.loads(line) for line in output.splitlines()]
    texts.calls += 2
    ends = [i for i, part in enumerate(parts) if part.get("finish_reason")]
    first, second = parts[:ends[0] + 1], parts[ends[0] + 1:]
    prompt = f"<s>user hello</s><s>assistant {joined(first)}</s><s>user and you?</s><s>assistant "
    again = texts.generate("--max-tokens", 8, "--temperature", 0, prompt)
    assert tokens(again) == tokens(second), (joined(again), joined(second))


def check_scores(graft, texts):
    """The likeliest next token's log-probability is the same, written or read."""
    written = texts.generate("--temperature", 0, "--max-tokens", 1, "--logprobs", 0, "the cat sat on th")
    score = graft.run("score", "--base", BASE, "--pair", "the cat sat on th", joined(written))["scores"][0]
    # Else another text must be chosen: of one token that is read as the one that was written.
    assert [token.get("id", 0) for token in score["tokens"]] == tokens(written), (score, written)
    # In bf16 a text is read and written by kernels that round in different places.
    apart = abs(score["log_probability"] - written[0]["tokens"][0]["log_probability"])
    assert apart < 0.02, apart
    whole = graft.run("score", "--base", BASE, "the cat sat on the mat")["scores"][0]
    assert "".join(token["text"] for token in whole["tokens"]) == "the cat sat on the mat"
    assert all(token["log_probability"] < 0 for token in whole["tokens"][1:])
    assert "log_probability" not in whole["tokens"][0]


def check_small_cache(options, bases, folder):
    """A server's own worker has its environment, --kv-memory's variable in it: it bounds a text for which nobody said how long it
    may be, and what can't fit in it is refused."""
    os.environ["GRAFT_KV_MEMORY"] = "20000"
    try:
        with Graft(options.bin, bases, folder) as graft:
            words = ("generate", "--base", BASE, "--temperature", 0, "--logit-bias", "2=-100")
            code, output, error = graft.call(*words, "the cat sat")
            assert code == 0, error
            last = json.loads(output.splitlines()[-1])
            held = int(last["prompt_tokens"]) + int(last["generated_tokens"]) - 1
            assert last["finish_reason"] == "length" and 0 < held < 128 and held % 16 == 0, last
            code, _, error = graft.call(*words, "--max-tokens", 120, "the cat sat")
            assert code == 4 and "--kv-memory" in error and "generation.max_tokens" in error, error
            print(f"a cache of {held} tokens")
    finally:
        del os.environ["GRAFT_KV_MEMORY"]


def scrape(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as reply:
        text = reply.read().decode()
    return {name: float(value) for name, value in re.findall(r"^(\w+(?:\{[^}]*\})?) ([0-9.e+-]+)$", text, re.M)}


def check_metrics(graft, texts):
    ports = json.loads((graft.data / "ports.json").read_text())
    server = scrape(ports["metrics"])
    assert server["graft_time_to_first_token_seconds_count"] == texts.calls, texts.calls
    assert server["graft_inter_token_latency_seconds_count"] > 100
    poll("the caches' end", lambda: scrape(ports["worker_metrics"][0])['graft_kv_cache_bytes{kind="total"}'] == 0)
    worker = scrape(ports["worker_metrics"][0])
    assert worker["graft_generated_tokens_total"] >= 16 * 60
    assert worker["graft_prompt_tokens_total"] > 0 and worker["graft_generations_running"] == 0


def main():
    options = parse_paths(__doc__, "bin")
    with tempfile.TemporaryDirectory(prefix="graft-generate-") as name:
        folder = Path(name)
        shutil.copytree(GOLDEN / BASE, folder / "bases" / BASE)
        with Graft(options.bin, folder / "bases", folder) as graft:
            texts = Texts(graft)
            check_parts(texts)
            check_seeds(texts)
            check_chat(graft, texts)
            check_scores(graft, texts)
            check_metrics(graft, texts)
            print(f"{texts.calls} texts")
        (folder / "small").mkdir()
        check_small_cache(options, folder / "bases", folder / "small")
    return 0


if __name__ == "__main__":
    sys.exit(main())
