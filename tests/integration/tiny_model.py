"""A BERT of two layers and a LoRA adapter of it, written with nothing but struct and json."""
import json
import math
import random
import struct

HIDDEN, LAYERS, INTERMEDIATE, POSITIONS, RANK = 32, 2, 64, 64, 4
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(20)), "##x", "x"]


def safetensors(tensors):
    """{name: (shape, values)} as the bytes of a file in fp32."""
    header, blobs, offset = {}, [], 0
    for name, (shape, values) in tensors.items():
        blob = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(blobs)


def _random(generator, *shape, scale=0.1):
    count = 1
    for size in shape:
        count *= size
    return list(shape), [generator.gauss(0, scale) for _ in range(count)]


def base_tensors():
    generator = random.Random(5)
    tensors = {}

    def linear(path, size_in, size_out):
        tensors[path + ".weight"] = _random(generator, size_out, size_in)
        tensors[path + ".bias"] = _random(generator, size_out)

    def norm(path):
        tensors[path + ".weight"] = [HIDDEN], [1.0] * HIDDEN
        tensors[path + ".bias"] = [HIDDEN], [0.0] * HIDDEN

    tensors["bert.embeddings.word_embeddings.weight"] = _random(generator, len(VOCAB), HIDDEN, scale=1)
    tensors["bert.embeddings.position_embeddings.weight"] = _random(generator, POSITIONS, HIDDEN)
    tensors["bert.embeddings.token_type_embeddings.weight"] = _random(generator, 2, HIDDEN)
    norm("bert.embeddings.LayerNorm")
    for i in range(LAYERS):
        layer = f"bert.encoder.layer.{i}."
        for name in ("query", "key", "value"):
            linear(f"{layer}attention.self.{name}", HIDDEN, HIDDEN)
        linear(layer + "attention.output.dense", HIDDEN, HIDDEN)
        norm(layer + "attention.output.LayerNorm")
        linear(layer + "intermediate.dense", HIDDEN, INTERMEDIATE)
        linear(layer + "output.dense", INTERMEDIATE, HIDDEN)
        norm(layer + "output.LayerNorm")
    linear("bert.pooler.dense", HIDDEN, HIDDEN)
    return tensors


def write_base(folder, model_type="bert", leave_out=None, poison=None, overflow=None):
    """A HuggingFace folder; without the tensor `leave_out`, with a NaN in `poison`, with values near fp32's largest in `overflow`."""
    folder.mkdir(parents=True)
    tensors = base_tensors()
    if leave_out:
        del tensors[leave_out]
    if poison:
        tensors[poison][1][0] = float("nan")
    if overflow:
        tensors[overflow][1][:] = [math.copysign(3e38, value) for value in tensors[overflow][1]]
    (folder / "model.safetensors").write_bytes(safetensors(tensors))
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n")
    (folder / "config.json").write_text(json.dumps({
        "model_type": model_type, "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": 4,
        "intermediate_size": INTERMEDIATE, "vocab_size": len(VOCAB), "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu"}))


def lora_name(layer, module, side):
    return f"base_model.model.bert.encoder.layer.{layer}.attention.self.{module}.lora_{side}.weight"


def lora_tensors(labels=2):
    generator = random.Random(6)
    tensors = {}
    for layer in range(LAYERS):
        for module in ("query", "value"):
            tensors[lora_name(layer, module, "A")] = _random(generator, RANK, HIDDEN)
            tensors[lora_name(layer, module, "B")] = _random(generator, HIDDEN, RANK)
    tensors["base_model.model.classifier.weight"] = _random(generator, labels, HIDDEN)
    tensors["base_model.model.classifier.bias"] = _random(generator, labels)
    return tensors


def write_lora(folder, tensors, **config):
    """A folder as PEFT writes it."""
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(safetensors(tensors))
    (folder / "adapter_config.json").write_text(json.dumps({
        "peft_type": "LORA", "task_type": "SEQ_CLS", "r": RANK, "lora_alpha": 8, "lora_dropout": 0.0, "bias": "none",
        "target_modules": ["query", "value"], "modules_to_save": ["classifier"], **config}))
