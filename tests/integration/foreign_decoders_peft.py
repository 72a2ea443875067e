"""LoRA folders of language models as PEFT writes them, for foreign_decoders_test.py.

Usage, in PEFT's reference environment: foreign_decoders_peft.py SOURCE OUT makes a folder a row of the table below, and prints one
JSON line each: {"name", "folder", "base", "expect": "equal" | "refused", "words": what a refusal or a warning says, "logits": of IDS
by the library itself, a row a position, "arguments": further ones of graft import}. foreign_decoders_peft.py SOURCE read
TASKS prints the logits that PEFT computes with
each folder of the list in the file TASKS, [folder, folder of the merged model, base, whether it classifies], and transformers with the
merged one.
"""
import json
import shutil
import sys
import warnings
from pathlib import Path

import peft
import torch
from foreign_adapters_peft import edit, old_config, rename, shake, write_beside
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

warnings.filterwarnings("ignore")
logging.set_verbosity_error()
logging.disable_progress_bar()
# Longer than mistral's window; no padding token, of which a classifier would make a text's end.
IDS = [[5, 9, 11], [40, 7, 7, 19, 79, 5, 33, 12], [17], [(i * 29 + 3) % 77 + 3 for i in range(40)]]
LABELS = ["negative", "neutral", "positive"]
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# What Unsloth writes for a model's language layers, attention and feed-forwards.
UNSLOTH = (r"(?:.*?(?:language|text).*?(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense).*?"
           r"(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj).*?)|(?:\bmodel\.layers\.[\d]{1,}\."
           r"(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense)\."
           r"(?:(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)))")
SCORE = {"task_type": "SEQ_CLS"}
TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"

# What is to come of each folder was written down before any of it was read: name, base, options of LoraConfig (and of saving),
# what is done to the folder, what is expected, a word of the refusal or warning. qwen2's head is its embeddings.
ROWS = [
    ("llama", "llama", {}, None, "equal", ""),
    ("mistral", "mistral", {}, None, "equal", ""),
    ("qwen2", "qwen2", {}, None, "equal", ""),
    ("qwen3", "qwen3", {"target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}, None, "equal", ""),
    ("all-linear", "llama", {"target_modules": "all-linear"}, None, "equal", ""),
    ("all-linear-tied", "qwen2", {"target_modules": "all-linear"}, None, "equal", ""),
    ("all-listed", "qwen3", {"target_modules": LINEARS}, None, "equal", ""),
    ("feed-forward", "mistral", {"target_modules": ["gate_proj", "up_proj", "down_proj"]}, None, "equal", ""),
    ("regex", "llama", {"target_modules": r".*\.self_attn\.(q|v)_proj"}, None, "equal", ""),
    ("regex-unsloth", "qwen3", {"target_modules": UNSLOTH}, None, "equal", ""),
    ("regex-layers", "mistral", {"target_modules": r"model\.layers\.(?:0|2)\.mlp\.(?:up|down)_proj"}, None, "equal", ""),
    ("regex-lookahead", "llama", {"target_modules": r"(?!.*layers\.1).*q_proj"}, None, "refused", "look-around"),
    ("layers", "llama", {"layers_to_transform": [0, 2]}, None, "equal", ""),
    ("one-layer", "qwen2", {"layers_to_transform": 1, "layers_pattern": "layers"}, None, "equal", ""),
    ("excluded", "llama", {"target_modules": LINEARS, "exclude_modules": r".*\.mlp\..*"}, None, "equal", ""),
    ("rank-pattern", "qwen2", {"rank_pattern": {"v_proj": 2, r"layers.0.*q_proj": 6}}, None, "equal", ""),
    ("alpha-pattern", "mistral", {"alpha_pattern": {"q_proj": 3, "v_proj": 20}}, None, "equal", ""),
    ("rslora", "qwen3", {"use_rslora": True, "rank_pattern": {"q_proj": 9}, "alpha_pattern": {"layers.1.*v_proj": 5},
                         "target_modules": LINEARS}, None, "equal", ""),
    ("dropout", "llama", {"lora_dropout": 0.1, "init_lora_weights": "gaussian"}, None, "equal", ""),
    ("bias-all", "qwen2", {"bias": "all"}, None, "equal", ""),
    ("bias-lora-only", "qwen2", {"bias": "lora_only", "target_modules": ["q_proj", "o_proj"]}, None, "equal", ""),
    ("no-task", "llama", {"task_type": None}, None, "equal", ""),
    ("classifier", "llama", SCORE, None, "equal", ""),
    ("classifier-tied", "qwen2", SCORE, None, "equal", ""),
    ("classifier-no-task", "qwen3", {"task_type": None, "modules_to_save": ["score"]}, "classifier", "equal", ""),
    ("embeddings-saved", "llama", {"save_embedding_layers": True}, None, "equal", ""),
    ("embeddings-saved-tied", "qwen2", {"save_embedding_layers": True}, None, "equal", ""),
    ("embeddings-trained", "llama", {"modules_to_save": ["embed_tokens", "lm_head"]}, None, "equal", ""),
    ("head-trained", "mistral", {"modules_to_save": ["lm_head"]}, None, "equal", ""),
    ("tied-embeddings-trained", "qwen2", {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True}, None, "equal", ""),
    ("norms-saved", "qwen3", {"modules_to_save": ["q_norm", "post_attention_layernorm"]}, None, "equal", ""),
    ("fp16", "llama", {}, "fp16", "equal", ""),
    ("bf16", "qwen2", {}, "bf16", "equal", ""),
    ("compiled", "mistral", {}, "compiled", "equal", ""),
    ("adapter-name-in-keys", "llama", {}, "name-in-keys", "equal", ""),
    ("first-versions-config", "llama", {}, "old-config", "equal", ""),
    ("own-same-tokenizer", "llama", {}, "tokenizer", "equal", ""),
    ("own-template", "qwen2", {}, "template", "equal", ""),
    ("untrained", "llama", {}, "zero", "equal", "changes nothing"),
    ("tied-embeddings-apart", "qwen2", {"modules_to_save": ["embed_tokens"]}, None, "refused", "ensure_weight_tying"),
    ("tied-head-apart", "qwen2", {"modules_to_save": ["lm_head"]}, None, "refused", "ensure_weight_tying"),
    ("tied-both-apart", "qwen2", {"modules_to_save": ["embed_tokens", "lm_head"]}, None, "refused", "differ"),
    ("resized", "llama", {}, "resized", "refused", "82 rows"),
    ("resized-tied", "qwen2", {}, "resized", "refused", "82 rows"),
    ("head-adapted", "llama", {"target_modules": ["q_proj", "lm_head"]}, None, "refused", "vocabulary"),
    ("embeddings-adapted", "llama", {"target_modules": ["q_proj", "embed_tokens"]}, None, "refused", "embedding"),
    ("dora", "llama", {"use_dora": True}, None, "refused", "use_dora"),
    ("lora-bias", "llama", {"lora_bias": True}, None, "refused", "lora_bias"),
    ("tokens", "llama", {"trainable_token_indices": [3, 4]}, None, "refused", "trainable_token_indices"),
    ("replicated-layers", "llama", {"layer_replication": [[0, 2], [1, 3]]}, None, "refused", "layer_replication"),
    ("pissa", "llama", {"init_lora_weights": "pissa"}, None, "refused", "pissa"),
    ("invoked", "llama", {"alora_invocation_tokens": [5, 6]}, None, "refused", "alora_invocation_tokens"),
    ("ia3", "llama", {}, "ia3", "refused", "IA3"),
    ("prompt", "llama", {}, "prompt", "refused", "PROMPT_TUNING"),
    ("seq2seq", "llama", {}, "seq2seq", "refused", "SEQ_2_SEQ_LM"),
    ("other-tokenizer", "llama", {}, "other-tokenizer", "refused", "tokenizer"),
    ("more-tokens", "llama", {}, "more-tokens", "refused", "tokenizer"),
    ("bad-template", "llama", {}, "bad-template", "refused", "line 1"),
    ("pickle", "llama", {}, "pickle", "refused", "pickle"),
    ("zero3", "llama", {}, "empty", "refused", "DeepSpeed"),
    ("disagreeing", "llama", {}, "disagree", "refused", "isn't adapted"),
    ("other-base", "llama", {"base": "qwen3"}, None, "refused", "adapter_model.safetensors"),
]


def load_base(base, classifier):
    if classifier:
        return AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(LABELS), pad_token_id=0, dtype=torch.float32)
    return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)


def logits_of(model):
    """A list of rows for each text: one a position, or a classifier's one."""
    with torch.no_grad():
        logits = [model(input_ids=torch.tensor([ids])).logits for ids in IDS]
    return [(row[0] if row.dim() == 3 else row).tolist() for row in logits]


def make_model(base, options, change):
    options = dict(options)
    plain = load_base(base, change == "classifier" or options.get("task_type") == "SEQ_CLS")
    if change == "resized":
        plain.resize_token_embeddings(plain.config.vocab_size + 2)
    if change == "ia3":
        return peft.get_peft_model(plain, peft.IA3Config(task_type="CAUSAL_LM", target_modules=["k_proj"], feedforward_modules=[]))
    if change == "prompt":
        return peft.get_peft_model(plain, peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3))
    return peft.get_peft_model(plain, peft.LoraConfig(**{"task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 6, **options}))


def change_folder(folder, change, base):
    if change == "compiled":
        rename(folder, lambda key: key.replace("base_model.model.", "base_model.model._orig_mod."))
    elif change == "name-in-keys":
        rename(folder, lambda key: key.replace("lora_A.", "lora_A.default.").replace("lora_B.", "lora_B.default."))
    elif change == "old-config":
        old_config(folder)
    elif change in ("tokenizer", "template", "other-tokenizer", "more-tokens"):
        tokenizer = AutoTokenizer.from_pretrained(base)
        if change == "template":
            tokenizer.chat_template = TEMPLATE
        if change == "more-tokens":
            tokenizer.add_special_tokens({"pad_token": "<|PAD_TOKEN|>"})
        tokenizer.save_pretrained(folder)
        if change == "other-tokenizer":
            path = folder / "tokenizer.json"
            file = json.loads(path.read_text())
            file["pre_tokenizer"]["use_regex"] = False
            path.write_text(json.dumps(file))
    elif change == "bad-template":
        (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content | no_such_filter }}{% endfor %}")
    elif change == "pickle":
        (folder / "adapter_model.safetensors").unlink()
        write_beside(folder, "adapter_model.bin")
    elif change == "empty":
        path = folder / "adapter_model.safetensors"
        save_file({key: torch.empty(0) for key in load_file(path)}, path)
    elif change == "disagree":
        edit(folder, target_modules=["q_proj"])
    elif change == "seq2seq":
        edit(folder, task_type="SEQ_2_SEQ_LM")


def save(model, folder, options, change):
    """As PEFT saves it; a file of another type holds what the model then computes with."""
    model.save_pretrained(folder, **options)
    kind = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(change)
    if kind:
        path = folder / "adapter_model.safetensors"
        save_file({key: tensor.to(kind) for key, tensor in load_file(path).items()}, path)


def make(source, out):
    """Makes every folder; yields the rows' outcomes."""
    for name, family, options, change, expect, words in ROWS:
        options = dict(options)
        made_on = options.pop("base", family)
        saving = {key: options.pop(key) for key in ("save_embedding_layers",) if key in options}
        base = source / f"tests/golden/decoders/base-{made_on}"
        torch.manual_seed(3)
        model = make_model(str(base), options, change).eval()
        if change != "zero":
            shake(model)
        if saving:  # Somebody trained them with the adapter.
            for layer in {model.get_input_embeddings(), model.get_output_embeddings()}:
                layer.weight.data += 0.1
        kind = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(change)
        if kind:
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.data = parameter.data.to(kind).float()
        folder = out / "peft" / name
        classifies = change == "classifier" or options.get("task_type") == "SEQ_CLS"
        labels = [part for label in LABELS for part in ("--label-name", label)] if classifies else []
        row = {"name": name, "folder": str(folder), "base": family, "expect": expect, "words": words, "arguments": labels,
               "logits": logits_of(model) if expect == "equal" else None, "classifies": classifies,
               "template": TEMPLATE if change == "template" else None}
        save(model, folder, saving, change)
        change_folder(folder, change, base)
        yield row


def read_merged(folder, classifies):
    """What transformers alone computes with a merged model, and what its tokenizer makes of a chat."""
    kind = AutoModelForSequenceClassification if classifies else AutoModelForCausalLM
    model, told = kind.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert not any(told.values()), f"{folder}: {told}"
    chat = [{"role": "user", "content": "the cat"}]
    return {"merged_logits": logits_of(model.eval()), "labels": list(model.config.id2label.values()) if classifies else [],
            "end": None if classifies else model.generation_config.eos_token_id,
            "chat": AutoTokenizer.from_pretrained(folder).apply_chat_template(chat, tokenize=False)}


def read(source, folders):
    """What PEFT computes with folders over bases, and transformers with the merged ones."""
    for folder, merged, family, classifies in folders:
        base = load_base(str(source / f"tests/golden/decoders/base-{family}"), classifies)
        model = peft.PeftModel.from_pretrained(base, folder).eval()
        row = {"folder": folder, "logits": logits_of(model), **read_merged(merged, classifies)}
        whole = model.merge_and_unload()
        if family == "mistral":  # Its base is stored in bf16, and so is what is merged into it.
            for parameter in whole.parameters():
                parameter.data = parameter.data.bfloat16().float()
        row["merged_by_peft"] = logits_of(whole)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[2] == "read":
        read(Path(sys.argv[1]), json.loads(Path(sys.argv[3]).read_text()))
    else:
        for made in make(Path(sys.argv[1]), Path(sys.argv[2])):
            print(json.dumps(made), flush=True)
