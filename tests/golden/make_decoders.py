"""Makes the golden cases of decoders: tiny llama, mistral, qwen2 and qwen3 bases, adapters as PEFT saves them, and what
transformers and peft compute and train from them, in float32 with eager attention.

    oracle-peft/bin/python tests/golden/make_decoders.py [OUT]      one thread, half a minute; OUT: tests/golden/decoders

OUT/base-<name>/      a folder as transformers saves it, with a small tokenizer; the names are those of decoder_bases.BASES:
                      rope scalings, biases, windows, tied heads, shards, bfloat16 and float16 (whose values, widened, are
                      what everything is computed of), config.json of transformers 4 and 5
OUT/<name>-full/      the base itself, all of its weights trained
OUT/<name>-lora/      PEFT's folder, r = 4, alpha = 8 on q_proj and v_proj, random weights
OUT/<name>-lora-all/  the same on all seven linear layers (one base a family)
OUT/<name>-lora-chat/ the same on q_proj and v_proj, of sequences that begin alike as conversations do: see conversations()
                      (the same)
OUT/<name>-last-layers/   the base's last layer, last norm and head trained (the same)
OUT/<name>-classify-full/, <name>-classify-last-layers/    the same and all of it, as classifiers: model.safetensors has the
                      `score` layer that they begin with (the same)
OUT/<name>-classify/  LoRA on q_proj and v_proj and a `score` layer (modules_to_save), for sequence classification (the same)

Each case has, beside PEFT's files, case.json:

    base, family, method, task    as in the other golden cases
    sequences       causal_lm: ids; labels, one a token, -100 where nothing is to be learned: logits at i are scored on
                    labels[i + 1], and labels[0] is always -100; positions: at which of them logits and hidden are kept
                    sequence_classification: ids, label
    training        the run behind step_losses, see steps.py; no dropout
    grad_row_stride of grad.* with two dimensions, the rows that are kept: 0, stride, 2 * stride, ...

and expected.safetensors:

    logits          [P, V], the kept positions of all sequences one behind another; classification: [S, C]
    hidden          [P, D], there after the last norm (full only)
    loss            [1], cross-entropy over all scored tokens (or sequences) of all sequences, divided by their number
    grad.<name>     of loss, before any step; <name> as in the base, or as in the adapter's file. Of full and lora-all only
                    the first and last layer, embeddings, last norm and head
    grad_norm       [1], of all trained tensors together, not clipped
    step_losses     [20], the loss of each step's batch before its update, divided by the batch's scored tokens
    step_grad_norms [20], before clipping
    final_loss      [1], as loss, after 20 steps
    bf16_error      [1], how far the library's own bfloat16 logits are from its float32's: see steps.py

Sequences have 1, 2, 7, 33 and 90 tokens, none of them the padding's, and each is run alone, without padding. A classifier
reads the last token; the script proves that transformers gives the same for one padded batch. (transformers finds it by its id,
as the last that isn't the padding's. A text that ends with that token, as chats of smollm2 do, it would read one earlier.)

In float64 the same cases give logits within 2e-5 of their standard deviation, gradients within 2e-5 of each tensor's largest
and, which the script asserts, step_losses within 1e-4.
"""
import json
import os
import shutil
import sys

import torch
from safetensors.torch import save_file

import decoder_bases as bases
import steps

LABELS = ["negative", "neutral", "positive"]
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
THOROUGH = ("llama", "mistral", "qwen2", "qwen3")
STRIDE = 4
LR = {"full": 2e-3, "classify": 2e-3, "lora": 1e-2, "lora-all": 1e-3, "lora-chat": 1e-2, "last-layers": 2e-3, "classify-full": 1e-3,
      "classify-last-layers": 2e-3}


def sequences(task, kept_every):
    generator = torch.Generator().manual_seed(3)
    result = []
    for i, length in enumerate(bases.LENGTHS):
        ids = torch.randint(3, bases.VOCAB, (length,), generator=generator).tolist()
        if task == "sequence_classification":
            result.append({"ids": ids, "label": i % 3})
            continue
        labels = [-100] + ids[1:]
        if length == 7:
            labels[4] = -100
        if length == 33:
            labels[:10] = [-100] * 10  # A prompt
        positions = sorted({*range(0, length, 1 if length <= 33 and kept_every == 3 else kept_every), length - 1})
        result.append({"ids": ids, "labels": labels, "positions": positions})
    return result


def conversations():
    """A beginning of twenty tokens, longer than the windows, that all but the second have, and that two continue alike; two turns
    that are learned, and behind the last one two tokens that aren't."""
    generator = torch.Generator().manual_seed(4)

    def draw(count):
        return torch.randint(3, bases.VOCAB, (count,), generator=generator).tolist()

    system, question = draw(20), draw(6)
    result = []
    for i in range(5):
        ids = (draw(20) if i == 1 else system) + (question if i >= 3 else draw(5))
        labels = [-100] * len(ids)
        for turn in (draw(4 + i), draw(3), draw(5)):
            learned = len(turn) != 3
            ids, labels = ids + turn, labels + (turn if learned else [-100] * len(turn))
        ids, labels = ids + draw(2), labels + [-100] * 2
        result.append({"ids": ids, "labels": labels, "positions": [0, 19, 24, len(ids) - 4, len(ids) - 1]})
    return result


def summed_loss(task, logits, sequence):
    """The sum over what is scored, and how much that is."""
    if task == "sequence_classification":
        return torch.nn.functional.cross_entropy(logits, torch.tensor([sequence["label"]])), 1
    labels = torch.tensor(sequence["labels"][1:], dtype=torch.long)
    loss = torch.nn.functional.cross_entropy(logits[0, :-1], labels, ignore_index=-100, reduction="sum")
    return loss, int((labels != -100).sum())


def mean_loss(model, task, chosen):
    total, count = 0.0, 0
    for sequence in chosen:
        logits = model(input_ids=torch.tensor([sequence["ids"]])).logits
        if len(sequence["ids"]) > 1 or task == "sequence_classification":
            loss, scored = summed_loss(task, logits, sequence)
            total, count = total + loss, count + scored
    return total / count


def kept_logits(model, seqs):
    """One row a kept position."""
    outputs = [(s, model(input_ids=torch.tensor([s["ids"]])).logits) for s in seqs]
    return torch.cat([logits if "label" in s else logits[0, s["positions"]] for s, logits in outputs])


def total_norm(parameters):
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(p.grad) for p in parameters]))


def file_key(name):
    """A parameter's name as the library writes it to a file."""
    return name.replace(".default", "").replace("modules_to_save.", "")


def is_kept(name, all_layers):
    layer = next((int(part) for part in name.split(".") if part.isdigit()), None)
    return all_layers or layer in (None, 0, bases.COMMON["num_hidden_layers"] - 1)


def write_case(out, name, case, method, task, model, seqs, all_layers, with_hidden):
    folder = os.path.join(out, f"{name}-{case}")
    os.makedirs(folder, exist_ok=True)
    expected, logits, hidden = {}, [], []
    with torch.no_grad():
        for sequence in seqs:
            output = model(input_ids=torch.tensor([sequence["ids"]]), output_hidden_states=with_hidden)
            rows = output.logits if "label" in sequence else output.logits[0, sequence["positions"]]
            logits.append(rows)
            if with_hidden:
                hidden.append(output.hidden_states[-1][0, sequence["positions"]])
    expected["logits"] = torch.cat(logits)
    if with_hidden:
        expected["hidden"] = torch.cat(hidden)
    loss = mean_loss(model, task, seqs)
    loss.backward()
    expected["loss"] = loss.detach().reshape(1)
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    expected["grad_norm"] = total_norm(trained.values()).reshape(1)
    for parameter, p in trained.items():
        # Zeros would let an engine pass that computes no gradient.
        assert p.grad is not None and p.grad.abs().max() > 1e-7, f"{name}-{case}: {parameter} has no gradient"
        if is_kept(parameter, all_layers):
            expected["grad." + file_key(parameter)] = p.grad[::STRIDE].clone() if p.dim() > 1 else p.grad.clone()
    losses, lr, rounding = steps.proven(f"{name}-{case}", model, lambda m, chosen: mean_loss(m, task, chosen), seqs, [LR[case]])
    expected.update(losses)
    expected["bf16_error"] = steps.bf16_error(model, lambda m: kept_logits(m, seqs))
    path = os.path.join(folder, "expected.safetensors")
    save_file({k: v.contiguous() for k, v in expected.items()}, path)
    task_json = {task: {"label_names": LABELS} if task == "sequence_classification" else {}}
    with open(os.path.join(folder, "case.json"), "w") as file:
        json.dump({"base": f"base-{name}", "family": bases.BASES[name][0], "method": method, "task": task_json,
                   "sequences": seqs, "training": {**steps.TRAINING, "lr": lr}, "grad_row_stride": STRIDE}, file)
        file.write("\n")
    print(f"{name}-{case}: logits std {expected['logits'].std():.2f}, loss {loss:.3f} -> {expected['final_loss'][0]:.3f}, "
          f"rounding {rounding:.0e}, {os.path.getsize(path)} bytes", flush=True)


def shake_adapter(model):
    generator = torch.Generator().manual_seed(7)
    for parameter, p in model.named_parameters():
        if p.requires_grad:
            p.data = torch.randn(p.shape, generator=generator) * (0.4 if "score" in parameter else 0.15)


def check_padding(model, seqs, logits):
    """One batch, padded on the right."""
    width = max(len(s["ids"]) for s in seqs)
    ids = torch.tensor([s["ids"] + [0] * (width - len(s["ids"])) for s in seqs])
    mask = torch.tensor([[1] * len(s["ids"]) + [0] * (width - len(s["ids"])) for s in seqs])
    with torch.no_grad():
        padded = model(input_ids=ids, attention_mask=mask).logits
    assert torch.allclose(padded, logits, atol=1e-4), (padded - logits).abs().max()


def make_lora(out, name, case, targets, task, seqs=None):
    import peft
    import transformers

    folder, base = os.path.join(out, f"{name}-{case}"), os.path.join(out, f"base-{name}")
    kind = transformers.AutoModelForCausalLM
    more, fields = {}, {"task_type": "CAUSAL_LM"}
    if task == "sequence_classification":
        kind = transformers.AutoModelForSequenceClassification
        more = {"num_labels": 3, "id2label": dict(enumerate(LABELS)), "label2id": {l: i for i, l in enumerate(LABELS)}}
        fields = {"task_type": "SEQ_CLS", "modules_to_save": ["score"]}
    model = kind.from_pretrained(base, attn_implementation="eager", dtype=torch.float32, **more)
    plain = model.eval()(input_ids=torch.tensor([[3, 9, 4]])).logits
    model = peft.get_peft_model(model, peft.LoraConfig(r=4, lora_alpha=8, target_modules=targets, **fields)).eval()
    shake_adapter(model)
    moved = (model(input_ids=torch.tensor([[3, 9, 4]])).logits - plain).abs().max() / plain.std()
    assert moved > 0.1, f"{name}-{case}: the adapter moves the logits by {moved} standard deviations"
    model.save_pretrained(folder)
    clean_up_adapter(folder, f"base-{name}")
    seqs = seqs or sequences(task, 8)
    method = {"lora": {"rank": 4, "alpha": 8, "target_modules": targets}}
    logits = []
    if task == "sequence_classification":
        with torch.no_grad():
            logits = torch.cat([model(input_ids=torch.tensor([s["ids"]])).logits for s in seqs])
        check_padding(model, seqs, logits)
    write_case(out, name, case, method, task, model, seqs, all_layers=len(targets) == 2, with_hidden=False)


def make_overlay(out, name, case, task):
    """The base itself, all of it or its last layer trained, by transformers alone."""
    import transformers

    folder, base = os.path.join(out, f"{name}-{case}"), os.path.join(out, f"base-{name}")
    whole = case.endswith("full")
    if task == "sequence_classification":
        model = transformers.AutoModelForSequenceClassification.from_pretrained(base, attn_implementation="eager", num_labels=3,
                                                                                dtype=torch.float32).eval()
        generator = torch.Generator().manual_seed(9)
        model.score.weight.data = 0.4 * torch.randn(model.score.weight.shape, generator=generator)
        os.makedirs(folder, exist_ok=True)
        save_file({"score.weight": model.score.weight.data.clone()}, os.path.join(folder, "model.safetensors"))
    else:
        model = bases.load(base)
    last = f"model.layers.{bases.COMMON['num_hidden_layers'] - 1}."
    for parameter, p in model.named_parameters():
        # Where the head is the embeddings, it lies below the layers.
        p.requires_grad_(whole or parameter.startswith((last, "model.norm.", "lm_head.", "score.")))
    method = {"full": {}} if whole else {"last_layers": {"num_layers": 1}}
    write_case(out, name, case, method, task, model, sequences(task, 8), all_layers=False, with_hidden=False)


def make_overlays(out, name):
    make_overlay(out, name, "last-layers", "causal_lm")
    make_overlay(out, name, "classify-full", "sequence_classification")
    make_overlay(out, name, "classify-last-layers", "sequence_classification")


def clean_up_adapter(folder, base):
    """The folder as PEFT wrote it, without its model card, the path of this machine and the order of a set."""
    readme = os.path.join(folder, "README.md")
    if os.path.exists(readme):
        os.remove(readme)
    path = os.path.join(folder, "adapter_config.json")
    with open(path) as file:
        config = json.load(file)
    config["base_model_name_or_path"] = base
    config["target_modules"] = sorted(config["target_modules"])
    with open(path, "w") as file:
        json.dump(config, file, indent=2, sort_keys=True)
        file.write("\n")


def make(out):
    shutil.rmtree(out, ignore_errors=True)
    for name in bases.BASES:
        folder = os.path.join(out, f"base-{name}")
        bases.write_base(name, folder)
        seqs = sequences("causal_lm", 3)
        ids = torch.tensor([seqs[-1]["ids"]])
        shares = bases.check_attention(name, folder, ids)
        bases.check_traits(name, folder, ids)
        print(f"{name}: entropy of attention by layer, of the greatest: " + ", ".join(f"{s:.2f}" for s in shares))
        write_case(out, name, "full", {"full": {}}, "causal_lm", bases.load(folder), seqs, all_layers=False, with_hidden=True)
        make_lora(out, name, "lora", ["q_proj", "v_proj"], "causal_lm")
        if name in THOROUGH:
            make_lora(out, name, "lora-all", LINEARS, "causal_lm")
            make_lora(out, name, "lora-chat", ["q_proj", "v_proj"], "causal_lm", conversations())
            make_lora(out, name, "classify", ["q_proj", "v_proj"], "sequence_classification")
            make_overlays(out, name)
    files = [os.path.join(root, file) for root, _, names in os.walk(out) for file in names]
    for file in files:
        os.chmod(file, 0o644)  # The library writes weights that only their owner reads.
    print(f"{sum(map(os.path.getsize, files))} bytes")


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    make(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "decoders"))
