"""Makes the golden cases of the engine: tiny bases, adapters as PEFT and AdapterHub save them, and what the reference
libraries compute from them.

Run with the two oracle environments (see scripts/versions.sh for their versions):
    oracle-peft/bin/python     tests/golden/make_golden.py peft     OUT
    oracle-adapters/bin/python tests/golden/make_golden.py adapters OUT

OUT/base-<family>/           config.json, model.safetensors, vocab.txt
OUT/<family>-<case>/         the adapter's files as the library wrote them
    case.json                base, method, label names, sequences (token ids, type ids, label), training (see steps.py)
    expected.safetensors     logits [S, C], loss [1], grad.<key of the adapter's file> for every trained tensor, and what
                             twenty optimizer steps gave: step_losses [20], step_grad_norms [20], final_loss [1];
                             bf16_error [1], of the library's own bfloat16

Weights are scaled so that attention is peaked and every bias, norm and adapter tensor is random and non-zero: at default
initialisation, leaving out a whole position encoding moves a tiny model's logits by under 1e-2, and a test would pass.
"""
import json
import os
import sys

import torch
from safetensors.torch import save_file

import steps

FAMILIES = ("bert", "distilbert")
LABELS = ["negative", "neutral", "positive"]
VOCAB = 97
RATES = (2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 5e-5, 2e-5)


def make_config(family):
    import transformers

    common = dict(vocab_size=VOCAB, num_labels=3, id2label=dict(enumerate(LABELS)),
                  label2id={l: i for i, l in enumerate(LABELS)})
    if family == "bert":
        return transformers.BertConfig(
            hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=80, max_position_embeddings=40,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **common)
    return transformers.DistilBertConfig(
        dim=48, n_layers=3, n_heads=4, hidden_dim=80, max_position_embeddings=40, dropout=0.0, attention_dropout=0.0,
        seq_classif_dropout=0.0, **common)


def shake(module, generator):
    """Random values of a size that matters everywhere: peaked attention, no zero bias, no identity norm."""
    for name, p in module.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        lower = name.lower()
        if "layernorm" in lower or "layer_norm" in lower:
            p.data = (1.0 + 0.3 * noise) if lower.endswith("weight") else 0.2 * noise
        elif lower.endswith("bias"):
            p.data = 0.1 * noise
        elif "embeddings" in lower:
            p.data = 0.7 * noise
        elif any(k in lower for k in ("query", "key", "q_lin", "k_lin")):
            p.data = 0.35 * noise
        else:
            p.data = noise / p.shape[-1] ** 0.5


def sequences(family, generator):
    result = []
    for i, length in enumerate([5, 1, 17, 33, 8, 40]):
        ids = torch.randint(5, VOCAB, (length,), generator=generator).tolist()
        types = [0] * length
        if family == "bert":
            types = [0] * (length // 2) + [1] * (length - length // 2)
        result.append({"ids": ids, "type_ids": types, "label": i % 3})
    return result


def pad(seqs):
    width = max(len(s["ids"]) for s in seqs)
    ids = torch.zeros(len(seqs), width, dtype=torch.long)
    types = torch.zeros_like(ids)
    mask = torch.zeros_like(ids)
    for i, s in enumerate(seqs):
        n = len(s["ids"])
        ids[i, :n] = torch.tensor(s["ids"])
        types[i, :n] = torch.tensor(s["type_ids"])
        mask[i, :n] = 1
    return ids, types, mask


def logits_of(model, family, seqs):
    ids, types, mask = pad(seqs)
    inputs = dict(input_ids=ids, attention_mask=mask)
    if family == "bert":
        inputs["token_type_ids"] = types
    return model(**inputs).logits


def mean_loss(model, family, seqs):
    return torch.nn.functional.cross_entropy(logits_of(model, family, seqs), torch.tensor([s["label"] for s in seqs]))


def run(model, family, seqs):
    logits = logits_of(model, family, seqs)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([s["label"] for s in seqs]))
    loss.backward()
    return logits.detach(), loss.detach()


def write_case(out, family, case, method, model, seqs, logits, loss, grads):
    folder = os.path.join(out, f"{family}-{case}")
    os.makedirs(folder, exist_ok=True)
    losses, lr, rounding = steps.proven(f"{family}-{case}", model, lambda m, chosen: mean_loss(m, family, chosen), seqs, RATES,
                                        most=2e-5)
    with open(os.path.join(folder, "case.json"), "w") as f:
        json.dump({"base": f"base-{family}", "family": family, "method": method, "label_names": LABELS,
                   "sequences": seqs, "training": {**steps.TRAINING, "lr": lr}}, f)
    tensors = {"logits": logits.contiguous(), "loss": loss.reshape(1)}
    for name, grad in grads.items():
        if grad is None:
            raise RuntimeError(f"{family}-{case}: {name} got no gradient")
        tensors["grad." + name] = grad.contiguous()
    tensors.update(losses)
    tensors["bf16_error"] = steps.bf16_error(model, lambda m: logits_of(m, family, seqs))
    save_file(tensors, os.path.join(folder, "expected.safetensors"))
    print(folder, "bf16 %.4f" % tensors["bf16_error"].item(), "logits std %.3f" % logits.std().item(), "tensors", len(grads),
          f"loss {loss:.3f} -> {losses['final_loss'][0]:.3f} at {lr}, rounding {rounding:.0e}")


def base_model(family, out):
    """The base with its head, always the same weights; its folder is written by the peft half only."""
    import transformers

    generator = torch.Generator().manual_seed(1234)
    config = make_config(family)
    model = transformers.AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
    shake(model, generator)
    model.eval()
    return model


def make_peft(out):
    import peft
    import transformers

    for family in FAMILIES:
        folder = os.path.join(out, f"base-{family}")
        os.makedirs(folder, exist_ok=True)
        model = base_model(family, out)
        state = {k: v.clone().contiguous() for k, v in model.state_dict().items()
                 if not k.startswith(("classifier", "pre_classifier"))}
        save_file(state, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
        model.config.save_pretrained(folder)
        with open(os.path.join(folder, "vocab.txt"), "w") as f:
            f.write("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(VOCAB - 5)]) + "\n")

        q, v = ("query", "value") if family == "bert" else ("q_lin", "v_lin")
        everything = (["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]
                      if family == "bert" else ["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"])
        head = ["classifier"] if family == "bert" else ["classifier", "pre_classifier"]
        for case, rank, alpha, rslora, targets in (("lora", 4, 12, False, [q, v]), ("rslora", 3, 5, True, [q, v]),
                                                   ("lora-all", 2, 3, False, everything)):
            generator = torch.Generator().manual_seed(7)
            config = peft.LoraConfig(r=rank, lora_alpha=alpha, use_rslora=rslora, target_modules=targets,
                                     modules_to_save=head, task_type="SEQ_CLS")
            wrapped = peft.get_peft_model(base_model(family, out), config)
            trained = {n: p for n, p in wrapped.named_parameters() if p.requires_grad}
            for p in trained.values():
                p.data = torch.randn(p.shape, generator=generator) * 0.4
            wrapped.eval()
            seqs = sequences(family, generator)
            logits, loss = run(wrapped, family, seqs)
            grads = {n.replace(".default", "").replace("modules_to_save.", ""): p.grad for n, p in trained.items()}
            folder = os.path.join(out, f"{family}-{case}")
            wrapped.save_pretrained(folder)
            method = {"lora": {"rank": rank, "alpha": alpha, "rslora": rslora, "target_modules": sorted(targets)}}
            write_case(out, family, case, method, wrapped, seqs, logits, loss, grads)
            readme = os.path.join(folder, "README.md")
            if os.path.exists(readme):
                os.remove(readme)

        for case, method, layers in (("last-layers-0", {"last_layers": {"num_layers": 0}}, 0),
                                     ("last-layers-2", {"last_layers": {"num_layers": 2}}, 2),
                                     ("full", {"full": {}}, None)):
            generator = torch.Generator().manual_seed(11)
            model = base_model(family, out)
            # Away from the base, so that an overlay that is ignored shows.
            trained = {}
            for name, p in model.named_parameters():
                layer = next((int(t) for t in name.split(".") if t.isdigit()), None)
                in_head = name.startswith(("classifier", "pre_classifier")) or ".pooler." in name
                chosen = in_head or layers is None or (layer is not None and layer >= 3 - layers)
                p.requires_grad_(chosen)
                if chosen:
                    p.data += 0.1 * torch.randn(p.shape, generator=generator)
                    trained[name] = p
            seqs = sequences(family, generator)
            logits, loss = run(model, family, seqs)
            folder = os.path.join(out, f"{family}-{case}")
            os.makedirs(folder, exist_ok=True)
            save_file({n: p.detach().contiguous() for n, p in trained.items()}, os.path.join(folder, "model.safetensors"))
            write_case(out, family, case, method, model, seqs, logits, loss, {n: p.grad for n, p in trained.items()})


def make_adapters(out):
    import adapters
    from adapters import BnConfig

    classes = {"bert": adapters.BertAdapterModel, "distilbert": adapters.DistilBertAdapterModel}
    cases = (
        ("houlsby", dict(mh_adapter=True, output_adapter=True, original_ln_before=False, non_linearity="swish"), 6, False),
        ("houlsby-gelu", dict(mh_adapter=True, output_adapter=True, original_ln_before=False, non_linearity="gelu"), 7, False),
        ("pfeiffer", dict(mh_adapter=False, output_adapter=True, original_ln_before=True, non_linearity="relu"), 8, False),
        ("houlsby-unfrozen", dict(mh_adapter=True, output_adapter=True, original_ln_before=False, non_linearity="swish"), 6, True),
    )
    for family in FAMILIES:
        for case, fields, size, unfrozen in cases:
            generator = torch.Generator().manual_seed(21)
            reference = base_model(family, out)
            config = make_config(family)
            model = classes[family](config)
            missing, unexpected = model.load_state_dict(
                {k: v for k, v in reference.state_dict().items() if not k.startswith(("classifier", "pre_classifier"))},
                strict=False)
            assert not unexpected, unexpected
            model.add_adapter("oracle", config=BnConfig(reduction_factor=48 / size, **fields))
            labels = dict(enumerate(LABELS))
            if family == "bert":
                model.add_classification_head("oracle", num_labels=3, layers=1, use_pooler=True, id2label=labels)
            else:
                model.add_classification_head("oracle", num_labels=3, layers=2, activation_function="relu", id2label=labels)
            model.train_adapter("oracle")
            model.set_active_adapters("oracle")
            model.active_head = "oracle"
            model.eval()
            trained = {}
            for name, p in model.named_parameters():
                own = ".adapters.oracle." in name or name.startswith("heads.oracle.")
                if own:
                    p.data = torch.randn(p.shape, generator=generator) * 0.4
                    trained[name] = p
                elif unfrozen:
                    p.requires_grad_(True)
                    trained[name] = p
            seqs = sequences(family, generator)
            logits, loss = run(model, family, seqs)
            folder = os.path.join(out, f"{family}-{case}")
            os.makedirs(folder, exist_ok=True)
            model.save_adapter(folder, "oracle", use_safetensors=True)
            model.save_head(folder, "oracle", use_safetensors=True) if not os.path.exists(
                os.path.join(folder, "model_head.safetensors")) else None
            method = {"bottleneck": {"placement": "PFEIFFER" if case == "pfeiffer" else "HOULSBY", "size": size,
                                     "activation": fields["non_linearity"], "unfreeze_base": unfrozen}}
            write_case(out, family, case, method, model, seqs, logits, loss, {n: p.grad for n, p in trained.items()})


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    {"peft": make_peft, "adapters": make_adapters}[sys.argv[1]](sys.argv[2])
