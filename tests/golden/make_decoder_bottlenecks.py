"""Makes the golden cases of bottleneck adapters on decoders: what AdapterHub's library computes and trains of the bases that
make_decoders.py made. It knows llama and mistral of graft's decoder families; of qwen no library has bottlenecks.

    oracle-adapters/bin/python tests/golden/make_decoder_bottlenecks.py [OUT]      one thread, a minute; OUT: tests/golden/decoders

OUT/<name>-houlsby/    both sublayers, swish, 6 wide
OUT/<name>-pfeiffer/   the feed-forward alone, relu, 8 wide
OUT/<name>-bottleneck-classify/    houlsby and a `score` layer, for sequence classification

Files and fields are those that make_decoders.py describes; the adapter's own are as the library saves them.
"""
import json
import os
import shutil
import sys

import torch

import decoder_bases as bases
import make_decoders as decoders
from make_decoders import LABELS

NAME = "graft"
CONFIGS = {"houlsby": (dict(mh_adapter=True, output_adapter=True, original_ln_before=False, non_linearity="swish"), 6),
           "pfeiffer": (dict(mh_adapter=False, output_adapter=True, original_ln_before=True, non_linearity="relu"), 8)}
decoders.LR.update({"houlsby": 2e-3, "pfeiffer": 2e-3, "bottleneck-classify": 2e-3})


def load(base, classifies):
    import adapters
    import transformers

    kind, more = transformers.AutoModelForCausalLM, {}
    if classifies:
        kind = transformers.AutoModelForSequenceClassification
        more = {"num_labels": 3, "id2label": dict(enumerate(LABELS)), "label2id": {l: i for i, l in enumerate(LABELS)}}
    config = transformers.AutoConfig.from_pretrained(base)
    with open(os.path.join(base, "config.json")) as file:
        wanted = json.load(file)
    # This version reads version 5's field not at all.
    config.rope_theta = wanted.get("rope_parameters", wanted).get("rope_theta", 10000.0)
    for field, value in more.items():
        setattr(config, field, value)
    model = kind.from_pretrained(base, config=config, attn_implementation="eager", torch_dtype=torch.float32)
    adapters.init(model)
    return model


def make(out, name, case, preset, task):
    from adapters import BnConfig

    fields, size = CONFIGS[preset]
    classifies = task == "sequence_classification"
    base, folder = os.path.join(out, f"base-{name}"), os.path.join(out, f"{name}-{case}")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    model = load(base, classifies)
    ids = torch.tensor([[3, 9, 4]])
    plain = model.eval()(input_ids=ids).logits
    model.add_adapter(NAME, config=BnConfig(reduction_factor=bases.COMMON["hidden_size"] / size, **fields))
    model.train_adapter(NAME)
    model.eval()
    if classifies:
        model.score.weight.requires_grad_(True)
    decoders.shake_adapter(model)
    moved = (model(input_ids=ids).logits - plain).abs().max() / plain.std()
    assert moved > 0.1, f"{name}-{case}: the adapter moves the logits by {moved} standard deviations"
    model.save_adapter(folder, NAME, with_head=classifies, use_safetensors=True)
    for file in ("adapter_config.json", "head_config.json"):
        path = os.path.join(folder, file)
        if not os.path.exists(path):
            continue
        with open(path) as text:
            config = json.load(text)
        config["model_name"] = f"base-{name}"
        with open(path, "w") as text:
            json.dump(config, text, indent=2, sort_keys=True)
            text.write("\n")
    method = {"bottleneck": {"placement": "PFEIFFER" if preset == "pfeiffer" else "HOULSBY", "size": size,
                             "activation": fields["non_linearity"]}}
    decoders.write_case(out, name, case, method, task, model, decoders.sequences(task, 8), all_layers=True, with_hidden=False)
    for file in os.listdir(folder):
        os.chmod(os.path.join(folder, file), 0o644)


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    where = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "decoders")
    for family in ("llama", "mistral"):
        for kind in CONFIGS:
            make(where, family, kind, kind, "causal_lm")
        make(where, family, "bottleneck-classify", "houlsby", "sequence_classification")
