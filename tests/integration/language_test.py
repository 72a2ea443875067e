#!/usr/bin/env python3
"""Language models' jobs through the whole service: plain texts, completions and conversations are submitted, checked, trained,
evaluated and continued by real processes, and what can't be trained on is refused with its lines."""
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "integration")]
import tiny_llama  # noqa: E402
import tiny_model  # noqa: E402
from live_graft import DEADLINE, Graft, parse_paths, poll  # noqa: E402

JOB = ("--method", "lora", "--set", "rank=8", "--max-steps", "60", "--batch-size", "8", "--lr", "0.01", "--precision", "FP32",
       "--validation-fraction", "0.2", "--hp", "evaluations_per_epoch=0.5")


TOOL_TEMPLATE = "additional_chat_templates/tool_use.jinja"


def word(rng):
    return "".join(rng.choice("abc") for _ in range(3))


def chat(question, answer, **more):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **more}


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_data(folder):
    """Words that are said twice: the second time they can be told."""
    rng = random.Random(6)
    pairs = [(f"say {w}{i % 10}", f"{w}{i % 10} is said") for i, w in enumerate(word(rng) for _ in range(80))]
    write_lines(folder / "texts.jsonl", [{"text": f"{a}: {b}"} for a, b in pairs])
    (folder / "prompts.csv").write_text("q,a\n" + "".join(f'{a}," {b}"\n' for a, b in pairs))
    write_lines(folder / "chat.jsonl", [chat(a, b) for a, b in pairs])


def text_of(graft, *arguments):
    """What a person sees of a command that succeeds."""
    done = subprocess.run([str(graft.cli), "--server", graft.address, "--timeout", str(DEADLINE), *map(str, arguments)],
                          capture_output=True, text=True, timeout=2 * DEADLINE, check=False)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def refused(graft, *arguments, code=4):
    """The error of a command that is refused."""
    got, output, error = graft.call(*arguments)
    assert got == code, (arguments, got, output, error)
    return error + output


def evaluations(job):
    return [e for e in job["evaluations"] if e["split"] == "validation"]


def train(graft, adapter, *arguments):
    job = graft.train("--base", "llama", "--adapter", adapter, *JOB, *arguments)
    first, last = evaluations(job)[0], evaluations(job)[-1]
    assert set(last["metrics"]) == {"perplexity", "token_accuracy"}, last
    assert last["loss"] < first["loss"] - 0.1 and last["metrics"]["token_accuracy"] > 0.25, (first, last)
    assert int(job["facts"]["loss_tokens"]) > 0 and int(job["facts"]["train_examples"]) == 64, job["facts"]
    return job


def files_of(graft, version, folder):
    graft.run("export", version, folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def check_jobs(graft, folder):
    """All three shapes train; the template that was used is one of the version's files, and of its name."""
    texts = train(graft, "texts", "--task", "causal_lm", "--train", folder / "texts.jsonl")
    prompts = train(graft, "prompts", "--train", folder / "prompts.csv", "--prompt-column", "q", "--completion-column", "a")
    data = ("--train", folder / "chat.jsonl", "--messages-column", "messages")
    chats = train(graft, "chats", *data)
    assert int(prompts["facts"]["loss_tokens"]) < int(texts["facts"]["loss_tokens"])
    assert chats["spec"]["task"]["causal_lm"]["chat_template"] == tiny_llama.TEMPLATE, chats["spec"]
    for adapter in ("texts", "prompts"):
        assert "chat_template.jinja" not in files_of(graft, f"{adapter}@1", folder / f"{adapter}-files")
    files = files_of(graft, "chats@1", folder / "chats-files")
    assert files["chat_template.jinja"].decode() == tiny_llama.TEMPLATE
    assert "chat_template.jinja" in json.loads(files["graft.json"])["files"]
    # Of the same data the same version, whatever the job is called; another template makes another.
    again = train(graft, "again", *data)
    assert again["adapter_version_sha256"] == chats["adapter_version_sha256"]
    other = folder / "other.jinja"
    other.write_text("{# other #}" + tiny_llama.TEMPLATE)
    same_text = train(graft, "other", *data, "--chat-template", other)
    assert same_text["adapter_version_sha256"] != chats["adapter_version_sha256"]
    assert same_text["evaluations"] == chats["evaluations"]
    continued = train(graft, "continued", *data, "--init-from", "other@1")
    assert continued["spec"]["task"]["causal_lm"]["chat_template"] == other.read_text()
    moody = train(graft, "moody", *data, "--chat-template", other, "--template-variable", "mood=calm")
    assert moody["evaluations"] == same_text["evaluations"], "the template doesn't read it"
    assert moody["adapter_version_sha256"] != same_text["adapter_version_sha256"]
    for arguments, mood in (((), "calm"), (("--template-variable", "mood=sad"), "sad")):
        later = train(graft, f"later-{mood}", *data, "--init-from", "moody@1", *arguments)
        assert later["spec"]["task"]["causal_lm"]["chat_template_variables"] == {"mood": mood}, later["spec"]
    everything = train(graft, "everything", *data, "--loss-on", "all")
    assert int(everything["facts"]["loss_tokens"]) > int(chats["facts"]["loss_tokens"])
    judged = graft.run("evaluate", "chats@1", folder / "chat.jsonl")
    assert judged["evaluation"]["metrics"]["token_accuracy"] > 0.25, judged
    return texts


def check_cancelled_validations(graft, folder):
    """A validation ends when its job is cancelled: as many as run at a time don't keep the next one waiting for minutes."""
    rows = write_lines(folder / "many.jsonl", [chat(f"question {i}", "answer") for i in range(20_000)])
    slow = folder / "slow.jinja"
    slow.write_text("{% for i in range(60000) %}{% endfor %}" + tiny_llama.TEMPLATE)
    arguments = ("submit", "--base", "llama", *JOB, "--train", rows, "--messages-column", "messages", "--chat-template", slow)
    names = [graft.run(*arguments, "--adapter", f"slow-{i}", "--seed", str(i))["name"] for i in range(4)]
    for name in names:
        graft.run("cancel", name)
    train(graft, "after", "--train", folder / "chat.jsonl", "--messages-column", "messages")


def check_words(graft, folder):
    """What a person sees."""
    seen = text_of(graft, "submit", "--base", "llama", "--adapter", "seen", *JOB, "--train", folder / "chat.jsonl",
                   "--messages-column", "messages", "--watch")
    assert "perplexity" in seen and "token accuracy" in seen and "SUCCEEDED" in seen, seen
    estimate = text_of(graft, "estimate", "--base", "llama", "--adapter", "x", *JOB, "--train", folder / "chat.jsonl", "--task",
                       "causal_lm")
    assert "of them to be learned" in estimate and "labels" not in estimate, estimate
    checked = text_of(graft, "check", folder / "chat.jsonl", "--task", "causal_lm", "--base", "llama")
    assert "80 train examples" in checked and "of them to be learned" in checked, checked


def check_warnings(graft, folder):
    """Examples that are cut, left out or split are told with their lines."""
    long = write_lines(folder / "long.jsonl", [
        chat("a", "b"), chat("a", "b" * 400), chat("c" * 400, "d"),
        {"messages": [{"role": "user", "content": "e"}, {"role": "assistant", "content": "f", "weight": 0}]}])
    report = graft.run("check", long, "--messages-column", "messages", "--base", "llama")
    warnings = " ".join(report["warnings"])
    assert report["usable"] and "2 of 4 train examples have more than 256 tokens (max_length) (lines 2, 3)" in warnings, report
    assert "2 of 4 train examples have no token to learn and are left out (lines 3, 4)" in warnings, report
    job = graft.train("--base", "llama", "--adapter", "long", "--method", "lora", "--max-steps", "2", "--train", long,
                      "--messages-column", "messages", "--max-length", "64")
    assert int(job["facts"]["dropped_examples"]) == 2 and int(job["facts"]["truncated_examples"]) == 2, job["facts"]
    assert any("(lines 3, 4)" in warning for warning in job["warnings"]), job["warnings"]
    split = write_lines(folder / "split.jsonl", [{"text": "x" * 1000}])
    assert "split into sequences" in graft.run("check", split, "--task", "causal_lm", "--base", "llama")["warnings"][0]


def events_of(graft, job):
    code, output, error = graft.call("watch", job)
    assert code == 0, error
    return [json.loads(line) for line in output.splitlines()]


def check_samples(graft, folder):
    """Each evaluation's samples stand behind it in the log; the last are what the version writes; its name is the same without."""
    data = ("--train", folder / "chat.jsonl", "--messages-column", "messages")
    prompts = ["say abc1", "say cab7"]
    job = train(graft, "sampled", *data, *(flag for prompt in prompts for flag in ("--sample", prompt)))
    assert job["spec"]["task"]["causal_lm"]["samples"] == prompts, job["spec"]
    assert job["adapter_version_sha256"] == graft.train("--base", "llama", "--adapter", "unsampled", *JOB, *data)[
        "adapter_version_sha256"]
    told = [event for event in events_of(graft, job["name"]) if "evaluation" in event or "sample" in event]
    steps = [e["evaluation"]["step"] for e in told if "evaluation" in e]
    assert len(steps) > 1 and [e["sample"]["step"] for e in told if "sample" in e] == [s for s in steps for _ in prompts], told
    assert ["evaluation" in e for e in told] == [True, False, False] * len(steps), told
    for index, prompt in enumerate(prompts):
        sample = told[index - len(prompts)]["sample"]
        assert (sample.get("index", 0), sample["prompt"]) == (index, prompt), sample
        code, output, error = graft.call("generate", "--adapter", "sampled@1", "--chat", prompt, "--temperature", "0",
                                         "--max-tokens", "64")
        assert code == 0, error
        parts = [json.loads(line) for line in output.splitlines()]
        assert sample["text"] == "".join(part.get("text", "") for part in parts), (sample, parts)
        assert sample["finish_reason"] == parts[-1]["finish_reason"], (sample, parts[-1])
        first = told[1 + index]["sample"]
        assert (first["prompt"], first["step"]) == (prompt, steps[0]) and first["text"] != sample["text"], (first, sample)
    seen = text_of(graft, "watch", job["name"])
    assert f'sample 1, step {steps[-1]}: "{prompts[0]}" -> "' in seen, seen


def check_exports(graft, folder):
    """Whole models have all of their base's chat templates, unless the version brings its own."""
    data = {"texts": (folder / "texts.jsonl", "--task", "causal_lm"),
            "chats": (folder / "chat.jsonl", "--messages-column", "messages")}
    for method, merged in (("lora", ("--merged",)), ("full", ())):
        for name, train_on in data.items():
            adapter, out = f"{name}-{method}", folder / "whole" / f"{name}-{method}"
            graft.train("--base", "tooled", "--adapter", adapter, "--method", method, "--max-steps", "1", "--train", *train_on)
            graft.run("export", f"{adapter}@1", out, *merged)
            files = {str(path.relative_to(out)): path.read_text() for path in out.rglob("*.jinja")}
            assert files.pop("chat_template.jinja") == tiny_llama.TEMPLATE, files
            assert files == ({TOOL_TEMPLATE: "tools"} if name == "texts" else {}), (adapter, files)
            assert (out / "model.safetensors").stat().st_size > 1000 and not list(out.glob("*.tmp.*")), list(out.iterdir())


def check_refusals(graft, folder):
    bad = write_lines(folder / "bad.jsonl", [
        chat("a", "b"), {"messages": []}, {"messages": [{"role": "bot", "content": "x"}]},
        {"messages": [{"role": "user", "content": "x"}]}, {"messages": "no"}])
    code, output, _ = graft.call("check", bad, "--messages-column", "messages")
    errors = [(int(e["line"]), e["reason"]) for e in json.loads(output)["errors"]]
    assert code == 1 and errors == [(2, "MESSAGES_EMPTY"), (3, "BAD_ROLE"), (4, "NO_ASSISTANT"), (5, "BAD_JSON")], output
    data = ("--train", folder / "chat.jsonl", "--task", "causal_lm")
    error = refused(graft, "submit", "--base", "bert", "--adapter", "x", "--method", "lora", *data)
    assert "spec.task.causal_lm" in error and "language head" in error, error
    error = refused(graft, "submit", "--base", "plain", "--adapter", "x", "--method", "lora", *data, "--check-only")
    assert "spec.task.causal_lm.chat_template" in error and "no chat template" in error, error
    broken, strict = folder / "broken.jinja", folder / "strict.jinja"
    broken.write_text("{% for %}")
    strict.write_text("{% if messages | length > 1 %}{{ raise_exception('one message only') }}{% endif %}")
    error = refused(graft, "submit", "--base", "llama", "--adapter", "x", "--method", "lora", *data, "--check-only",
                    "--chat-template", broken)
    assert "spec.task.causal_lm.chat_template" in error and "can't be read" in error, error
    error = refused(graft, "submit", "--base", "llama", "--adapter", "x", "--method", "lora", *data, "--check-only",
                    "--chat-template", strict)
    assert "one message only" in error and "line 1" in error, error
    error = refused(graft, "submit", "--base", "llama", "--adapter", "x", *JOB, *data, *("--sample", "say") * 9)
    assert "spec.task.causal_lm.samples" in error and "at most 8" in error, error
    error = refused(graft, "submit", "--base", "llama", "--adapter", "x", "--method", "lora", *data, "--sample", "say")
    assert "spec.task.causal_lm.samples" in error and "need validation data" in error, error
    error = refused(graft, "submit", "--base", "llama", "--adapter", "x", *JOB, *data, "--check-only", "--sample", "a", "--sample",
                    "b" * 1000)
    assert "spec.task.causal_lm.samples[1]" in error and "shorten it" in error, error
    job = graft.submit("--base", "llama", "--adapter", "x", "--method", "lora", "--train", bad, "--task", "causal_lm")
    ended = poll("the bad job", lambda: graft.ended(job))
    assert ended["state"] == "FAILED" and ended["error"]["fault"] == "DATA", ended
    assert [int(d["line"]) for d in ended["error"]["details"]] == [2, 3, 4, 5], ended


def main():
    options = parse_paths(__doc__, "bin")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tiny_llama.write_base(folder / "bases" / "llama")
        tiny_llama.write_base(folder / "bases" / "plain", template="")
        tooled = folder / "bases" / "tooled"
        tiny_llama.write_base(tooled)
        (tooled / TOOL_TEMPLATE).parent.mkdir()
        (tooled / TOOL_TEMPLATE).write_text("tools")
        (tooled / "chat_template.jinja").write_text(tiny_llama.TEMPLATE)
        tiny_model.write_base(folder / "bases" / "bert")
        write_data(folder)
        with Graft(options.bin, folder / "bases", folder) as graft:
            for check in (check_jobs, check_cancelled_validations, check_words, check_samples, check_exports, check_warnings,
                          check_refusals):
                check(graft, folder)
                print(check.__name__, "passed", flush=True)


if __name__ == "__main__":
    main()
