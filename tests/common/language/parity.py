"""Compares the tokens that graft trains a language model on, and which of them it learns, with TRL's.

    oracle-peft/bin/python parity.py ENCODE_LINES CACHE [TEST_DATA]

TRL's SFTTrainer itself prepares each data set, over a model of one small layer: plain texts, completion_only_loss,
assistant_only_loss. Bases are SmolLM2's tokenizer, and Qwen3's, which composes characters first. TEST_DATA's instructions are
compared too if they are there. Exits 1 with the first differences, or if there was less to compare than stated below.
"""
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import datasets
import transformers
import trl

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "templates"))
from conversations import ANSWERS, TEXTS, conversations  # noqa: E402

LEAST = 400  # Examples of each kind that must be equal.
MAX_LENGTH = 512
# What SmolLM2's template writes, with the assistant's turns marked: graft finds them itself.
MARKED = ("{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a "
          "helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{% if message['role'] == "
          "'assistant' %}{{ '<|im_start|>assistant\n' }}{% generation %}{{ message['content'] + '<|im_end|>\n' }}"
          "{% endgeneration %}{% else %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
          "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def trl_prepares(tokenizer, rows, folder, **config):
    """[(ids, places of learned tokens)] of the examples that TRL leaves."""
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1))
    args = trl.SFTConfig(output_dir=folder, report_to="none", use_cpu=True, bf16=False, packing=False,
                         gradient_checkpointing=False, max_length=MAX_LENGTH, **config)
    trainer = trl.SFTTrainer(model=model, args=args, train_dataset=datasets.Dataset.from_list(rows), processing_class=tokenizer)
    # The first token is learned of nothing: what trains shifts labels by one.
    return [(row["input_ids"], [i for i, label in enumerate(row["labels"]) if label != -100 and i > 0])
            for row in trainer.train_dataset]


def graft_prepares(tool, setup, rows):
    lines = [json.dumps(setup)] + [json.dumps(row) for row in rows]
    done = subprocess.run([tool], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def compare(what, ours, theirs):
    """Both in order; theirs lack what has nothing to learn, of which ours have no part."""
    refused = [answer for answer in ours if isinstance(answer, dict)]
    ours = [tuple(part) for answer in ours if not isinstance(answer, dict) for part in answer]
    theirs = [row for row in theirs if row[1]]
    equal = sum(a == b for a, b in zip(ours, theirs))
    for i, (a, b) in enumerate(zip(ours, theirs)):
        if a != b:
            print(f"{what}, example {i}:\n  graft {str(a)[:1500]}\n  TRL   {str(b)[:1500]}")
            break
    print(f"{what}: {equal} of {len(theirs)} equal, {len(ours)} of graft's, {len(refused)} refused {refused[:1]}")
    return equal == len(theirs) == len(ours) and not refused and equal >= LEAST


def texts(count):
    rng = random.Random(11)
    for _ in range(count):
        yield " ".join(rng.choice(TEXTS + ANSWERS) for _ in range(rng.randint(1, 6))) or "x"


def instructions(folder):
    path = os.path.join(folder, "instructions", "instruction-data.json")
    if not os.path.exists(path):
        print("the instructions are not there: made texts only")
        return []
    with open(path, encoding="utf-8") as file:
        return [(row["instruction"] + ("\n\n" + row["input"] if row["input"] else ""), row["output"]) for row in json.load(file)]


def plain_chats(pairs):
    """Conversations without tools: those of `pairs`, and made ones."""
    for prompt, answer in pairs:
        yield [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    for case in conversations(1600, seed=5):
        messages = [{"role": m["role"], "content": m["content"]} for m in case["messages"]
                    if isinstance(m.get("content"), str) and m["role"] in ("system", "user", "assistant")]
        while messages and messages[-1]["role"] != "assistant":
            messages.pop()
        # Where the assistant begins, SmolLM2's template writes another beginning than for no message: graft refuses that.
        if messages and messages[0]["role"] != "assistant":
            yield messages


def check_base(tool, name, base, template, pairs, folder):
    """`template`: a file that marks the assistant's turns, which both read; none: TRL reads MARKED, graft what the base has."""
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(base)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    setup = {"folder": base, "max_length": 1 << 20}
    rows = [t for t in texts(500) if len(tokenizer(t)["input_ids"]) < MAX_LENGTH - 2]
    good = compare(f"{name}, texts", graft_prepares(tool, {**setup, "shape": "text"}, [[t, ""] for t in rows]),
                   trl_prepares(tokenizer, [{"text": t} for t in rows], folder))
    setup["max_length"] = MAX_LENGTH
    made = list(zip(texts(600), list(texts(1200))[600:]))
    both = pairs + made + [(a * 40, b) for a, b in made[:60]]
    for loss_on, only in (("ANSWERS", True), ("ALL", False)):
        good = compare(
            f"{name}, completions, loss on {loss_on}",
            graft_prepares(tool, {**setup, "shape": "completion", "loss_on": loss_on}, both),
            trl_prepares(tokenizer, [{"prompt": a, "completion": b} for a, b in both], folder, completion_only_loss=only)) and good
    chats = list(plain_chats(pairs))
    chat_setup = {**setup, "shape": "messages", **({"template": template} if template else {})}
    tokenizer.chat_template = Path(template).read_text(encoding="utf-8") if template else MARKED
    ours = graft_prepares(tool, chat_setup, [[json.dumps(chat), ""] for chat in chats])
    good = compare(f"{name}, conversations", ours, trl_prepares(
        tokenizer, [{"messages": chat} for chat in chats], folder, assistant_only_loss=True)) and good
    return good


def main():
    datasets.disable_progress_bars()
    tool, cache, data = sys.argv[1], sys.argv[2], (sys.argv + [""])[3]
    pairs = instructions(data) if data else []
    good = True
    with tempfile.TemporaryDirectory() as folder:
        smollm2 = os.path.join(folder, "smollm2")
        os.mkdir(smollm2)
        for path in Path(cache, "bases", "smollm2").iterdir():
            if re.fullmatch(r".*token.*\.json|.*\.jinja", path.name):
                shutil.copy(path, smollm2)
        good = check_base(tool, "smollm2", smollm2, None, pairs, folder) and good
        templates = Path(trl.__file__).parent / "chat_templates"
        qwen = next(iter(Path(cache).glob("tokenizers/qwen3*/tokenizer.json")), None)
        if qwen:
            good = check_base(tool, "qwen3", str(qwen.parent), str(templates / "qwen3_training.jinja"), pairs, folder) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
