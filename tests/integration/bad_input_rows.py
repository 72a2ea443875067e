"""The rows of bad_input_test.py: bad input of each kind, what must come of it, and the bases and files that it needs."""
import dataclasses
import json
import os
import shutil
from pathlib import Path

import tiny_model

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
KEEP = "as it is"  # Of a chat template.
REFUSED, USAGE, JOB_FAILED, OK = 4, 2, 1, 0
HUGE = 100 << 20


@dataclasses.dataclass
class Row:
    """One bad input and what must come of it."""
    name: str
    arguments: list
    code: str            # The gRPC code's name.
    says: str            # Words in the message or a detail's.
    field: str = ""      # Of the first detail.
    reason: str = ""
    line: int = 0
    exit: int = REFUSED
    text: str = None     # Standard input.


def write_csv(path, rows, header="text,label"):
    path.write_bytes(b"\n".join([header.encode(), *(row if isinstance(row, bytes) else row.encode() for row in rows)]) + b"\n")
    return f"file://{path}"


def good_rows(count=48):
    return [f"w{i % 20} w{(i * 7) % 20},{'ab'[i % 2]}" for i in range(count)]


def write_decoder(folder, template):
    """The golden cases' tiny llama with another chat template, or with none."""
    shutil.copytree(GOLDEN / "decoders" / "base-llama", folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    if template != KEEP:
        del config["chat_template"]
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    if template not in (KEEP, None):
        (folder / "chat_template.jinja").write_text(template)


def make_bases(folder):
    """The good base, and others that can't be used, or not for all."""
    write_decoder(folder / "llama", KEEP)
    write_decoder(folder / "no-template", None)
    write_decoder(folder / "torn-template", "{{ messages }}\n{% for %}")
    write_decoder(folder / "stern-template", "{{ raise_exception('only questions, please') }}")
    write_decoder(folder / "endless-template",
                  "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}")
    tiny_model.write_base(folder / "tiny")
    tiny_model.write_base(folder / "truncated")
    weights = folder / "truncated" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:20_000])
    tiny_model.write_base(folder / "alien", model_type="mamba")
    tiny_model.write_base(folder / "lacking", leave_out="bert.encoder.layer.1.output.dense.weight")
    tiny_model.write_base(folder / "nan", poison="bert.encoder.layer.0.output.dense.weight")
    tiny_model.write_base(folder / "overflow", overflow="bert.encoder.layer.0.intermediate.dense.weight")


def submit(adapter, train, *more, base="tiny"):
    return ["submit", "--base", base, "--adapter", adapter, "--train", train, "--method", "lora", "--epochs", "1",
            "--precision", "FP32", *more]


def spec_rows(data):
    """Faults in what a job asks for: CreateJob refuses, so there is no job."""
    good = write_csv(data / "good.csv", good_rows())
    write_csv(data.parent / "secret.csv", good_rows())
    (data / "link.csv").symlink_to(data.parent / "secret.csv")
    (data / "link").symlink_to(data.parent)
    os.mkfifo(data / "pipe.csv")
    field = "spec.dataset.train"
    return good, [
        Row("unknown base", submit("x", good, base="nope"), "NOT_FOUND", "there are: ", "spec.base", "INVALID_FIELD"),
        Row("base with a path in its name", submit("x", good, base="../tiny"), "INVALID_ARGUMENT", "base", "spec.base"),
        Row("base of an unknown family", submit("x", good, base="alien"), "FAILED_PRECONDITION", "there are bert", "spec.base"),
        Row("base with truncated weights", submit("x", good, base="truncated"), "FAILED_PRECONDITION", "model.safetensors",
            "spec.base"),
        Row("base without one of its tensors", submit("x", good, base="lacking"), "FAILED_PRECONDITION",
            "bert.encoder.layer.1.output.dense.weight", "spec.base"),
        Row("rank 0", submit("x", good, "--set", "rank=0"), "INVALID_ARGUMENT", "1 to 1024", "spec.method.lora.rank"),
        Row("rank is a word", submit("x", good, "--set", "rank=many"), "INVALID_ARGUMENT", "rank", exit=USAGE),
        Row("learning rate 1e9", submit("x", good, "--lr", "1e9"), "INVALID_ARGUMENT", "(0, 1]",
            "spec.hyperparameters.learning_rate"),
        Row("learning rate is NaN", submit("x", good, "--lr", "NaN"), "INVALID_ARGUMENT", "learning_rate",
            "spec.hyperparameters.learning_rate"),
        Row("module that the base lacks", submit("x", good, "--set", "target_modules=q_proj"), "INVALID_ARGUMENT",
            "query", "spec.method.lora.target_modules"),
        Row("max_length beyond the base", submit("x", good, "--max-length", "4096"), "INVALID_ARGUMENT", "at most 64",
            "spec.hyperparameters.max_length"),
        Row("adapter with a path in its name", submit("../x", good), "INVALID_ARGUMENT", "adapter", "spec.adapter"),
        Row("continuing an unknown version", submit("x", good, "--init-from", "good@7"), "NOT_FOUND", "good",
            "spec.init_from"),
        Row("file outside the roots", submit("x", "file:///etc/passwd"), "PERMISSION_DENIED", "--data-roots", field),
        Row("file outside, through ..", submit("x", f"file://{data}/../secret.csv"), "PERMISSION_DENIED", "--data-roots", field),
        Row("file outside, through %2e%2e", submit("x", f"file://{data}/%2e%2e/secret.csv"), "PERMISSION_DENIED",
            "--data-roots", field),
        Row("file outside, through a link", submit("x", f"file://{data}/link.csv"), "PERMISSION_DENIED", "--data-roots", field),
        Row("file outside, through a folder's link", submit("x", f"file://{data}/link/secret.csv"), "PERMISSION_DENIED",
            "--data-roots", field),
        Row("file that isn't there", submit("x", f"file://{data}/none.csv"), "NOT_FOUND", "none.csv", field),
        Row("file that is a pipe", submit("x", f"file://{data}/pipe.csv"), "INVALID_ARGUMENT", "regular file", field),
        Row("upload that isn't there", submit("x", "graft://datasets/" + "0" * 64), "NOT_FOUND", "upload", field),
        Row("local file that isn't there", submit("x", str(data / "none.csv")), "NOT_FOUND", "none.csv", exit=USAGE),
        Row("local file that is empty", ["upload", str(write_empty(data / "empty.csv"))], "INVALID_ARGUMENT", "empty", "chunk"),
        Row("request of 100 MB", ["submit", "--spec", str(write_huge_spec(data / "huge.json"))], "RESOURCE_EXHAUSTED",
            "send less", reason="MESSAGE_TOO_LARGE"),
    ]


def write_empty(path):
    path.write_bytes(b"")
    return path


def write_huge_spec(path):
    path.write_text(json.dumps({"base": "tiny", "adapter": "x", "description": "x" * HUGE}))
    return path


def data_rows(data, good):
    """Faults in the data: the job ends FAILED, and with --check-only the call is refused; both with the same detail."""
    def csv(name, rows, header="text,label"):
        return write_csv(data / name, rows, header)
    broken = good_rows()
    broken[17] = b"w1 \xff\xfe w2,a"
    ragged = good_rows()
    ragged[4] = "w1"
    unlabelled = good_rows()
    unlabelled[9] = "w1 w2,"
    unterminated = good_rows() + ['"w1 w2,a']
    (data / "zero.csv").write_bytes(b"")
    (data / "torn.csv.gz").write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\0torn")
    (data / "bad.jsonl").write_text('{"text": "w1", "label": "a"}\n{"text": "w2", "label": \n')
    (data / "data.xyz").write_text("text,label\nw1,a\nw2,b\n")
    train = "dataset.train"
    return [
        Row("file of unknown format", submit("x", f"file://{data}/data.xyz"), "INVALID_ARGUMENT", "csv", train),
        Row("wrong text column", submit("x", good, "--text-column", "body"), "INVALID_ARGUMENT", "text", train, "COLUMN_MISSING", 1),
        Row("wrong label column", submit("x", good, "--label-column", "stars"), "INVALID_ARGUMENT", "label", train,
            "COLUMN_MISSING", 1),
        Row("empty file", submit("x", f"file://{data}/zero.csv"), "INVALID_ARGUMENT", "empty", train),
        Row("header only", submit("x", csv("header.csv", [])), "INVALID_ARGUMENT", "example", train),
        Row("bad UTF-8", submit("x", csv("utf8.csv", broken)), "INVALID_ARGUMENT", "UTF-8", train, line=19),
        Row("field missing in a line", submit("x", csv("ragged.csv", ragged)), "INVALID_ARGUMENT", "", train, line=6),
        Row("quote that never ends", submit("x", csv("quote.csv", unterminated)), "INVALID_ARGUMENT", "quote", train, line=50),
        Row("label missing in train", submit("x", csv("unlabelled.csv", unlabelled)), "INVALID_ARGUMENT", "label", train, line=11),
        Row("label unknown in validation", submit("x", good, "--validation", csv("validation.csv", ["w1,a", "w2,c"])),
            "INVALID_ARGUMENT", "c", "dataset.validation", line=3),
        Row("one class only", submit("x", csv("one.csv", ["w1,a", "w2,a", "w3,a"])), "INVALID_ARGUMENT", "label", train),
        Row("torn gzip", submit("x", f"file://{data}/torn.csv.gz"), "INVALID_ARGUMENT", "gz", train),
        Row("JSON that breaks off", submit("x", f"file://{data}/bad.jsonl"), "INVALID_ARGUMENT", "JSON", train, line=2),
    ]


def import_rows(folder):
    """Folders that are no adapter of the base."""
    def make(name, change=None, files=None, **config):
        path = folder / name
        tensors = tiny_model.lora_tensors()
        if change:
            change(tensors)
        tiny_model.write_lora(path, tensors, **config)
        for file, content in (files or {}).items():
            (path / file).write_bytes(content)
        return ["import", str(path), "--base", "tiny", "--adapter", "x", "--label-name", "a", "--label-name", "b"]

    first = tiny_model.lora_name(0, "query", "A")
    safe = tiny_model.safetensors(tiny_model.lora_tensors())
    weights = "adapter_model.safetensors"
    header_lies = (1 << 40).to_bytes(8, "little") + safe[8:]
    flipped = safe.replace(b'"F32"', b'"I3\0"', 1)
    pickle = make("pickle", files={"adapter_model.bin": b"\x80\x02}q\0."})
    (folder / "pickle" / weights).unlink()
    nothing = folder / "nothing"
    nothing.mkdir()
    no_labels = make("unnamed")[:6]
    rows = [
        Row("safetensors cut in its data", make("cut", files={weights: safe[:-100]}), "DATA_LOSS", weights),
        Row("safetensors cut in its header", make("cut-header", files={weights: safe[:50]}), "DATA_LOSS", weights),
        Row("safetensors of zero bytes", make("zero", files={weights: b""}), "DATA_LOSS", weights),
        Row("safetensors with a huge header", make("lies", files={weights: header_lies}), "INVALID_ARGUMENT", weights),
        Row("safetensors with a broken header", make("flipped", files={weights: flipped}), "INVALID_ARGUMENT", weights),
        Row("import with a NaN", make("nan", lambda t: t[first][1].__setitem__(3, float("nan"))), "INVALID_ARGUMENT", first),
        Row("import with an infinity", make("inf", lambda t: t[first][1].__setitem__(0, float("-inf"))), "INVALID_ARGUMENT", first),
        Row("adapter of another width", make("wide", lambda t: t.__setitem__(first, ([4, 48], [0.1] * 192))), "INVALID_ARGUMENT",
            "it must be [4, 32]"),
        Row("adapter of another rank", make("rank", r=8), "INVALID_ARGUMENT", "shape"),
        Row("extra tensor", make("extra", lambda t: t.__setitem__("base_model.model.bert.x", ([1], [0.0]))), "INVALID_ARGUMENT",
            "base_model.model.bert.x"),
        Row("missing tensor", make("missing", lambda t: t.pop(first)), "INVALID_ARGUMENT", first),
        Row("head of three labels for two names", make("head", lambda t: t.__setitem__(
            "base_model.model.classifier.weight", ([3, 32], [0.1] * 96))), "INVALID_ARGUMENT", "3 outputs",
            "header.label_names", "LABEL_COUNT"),
        Row("pickle", pickle, "INVALID_ARGUMENT", "safetensors"),
        Row("folder without adapter_config.json", remove(make("bare"), folder / "bare" / "adapter_config.json"),
            "INVALID_ARGUMENT", "adapter_config.json"),
        Row("adapter_config.json that breaks off", make("config", files={"adapter_config.json": b'{"peft_type": "LORA", '}),
            "INVALID_ARGUMENT", "adapter_config.json"),
        Row("unknown peft_type", make("loha", peft_type="LOHA"), "UNIMPLEMENTED", "LOHA"),
        Row("rank 0 in adapter_config.json", make("rank0", r=0), "INVALID_ARGUMENT", "r must be a whole number from 1 to 1024"),
        Row("labels unnamed", no_labels, "INVALID_ARGUMENT", "labels", "header.label_names", "LABELS_UNKNOWN"),
        Row("import for an unknown base", [*no_labels[:3], "nope", *no_labels[4:]], "NOT_FOUND", "there are: ", "header.base"),
        Row("folder without files", ["import", str(nothing), *no_labels[2:]], "INVALID_ARGUMENT", "folder", exit=USAGE),
        Row("100 MB that are no safetensors", make("huge", files={weights: b"x" * HUGE}), "INVALID_ARGUMENT", weights),
    ]
    return [row if row.field or row.exit == USAGE else dataclasses.replace(row, field="file", reason="BAD_ADAPTER_FOLDER")
            for row in rows]


def remove(arguments, path):
    path.unlink()
    return arguments


def request_rows():
    return [
        Row("classify: unknown adapter", ["classify", "--adapter", "nope", "w1"], "NOT_FOUND", "nope", "adapter"),
        Row("classify: unknown version", ["classify", "--adapter", "good@9", "w1"], "NOT_FOUND", "9", "adapter"),
        Row("classify: unknown alias", ["classify", "--adapter", "good@canary", "w1"], "NOT_FOUND", "canary", "adapter"),
        Row("classify: unknown hash", ["classify", "--adapter", "good@sha256:" + "0" * 64, "w1"], "NOT_FOUND", "good", "adapter"),
        Row("classify: name with spaces", ["classify", "--adapter", "a b", "w1"], "INVALID_ARGUMENT", "adapter", "adapter"),
        Row("classify: no adapter", ["classify", "w1"], "INVALID_ARGUMENT", "adapter", "adapter"),
        Row("classify: empty text", ["classify", "--adapter", "good", ""], "INVALID_ARGUMENT", "empty", "inputs[0].text"),
        Row("classify: pair for one-text adapter", ["classify", "--adapter", "good", "--pair", "w1", "w2", "w3"],
            "INVALID_ARGUMENT", "even", exit=USAGE),
        Row("classify: bad UTF-8", ["classify", "--adapter", "good", "w1 \udcff w2"], "INVALID_ARGUMENT", "UTF-8", exit=USAGE),
        Row("classify: 100 MB", ["classify", "--adapter", "good", "-"], "INVALID_ARGUMENT", "line 1", exit=USAGE, text="x" * HUGE),
        Row("embed: unknown base", ["embed", "--base", "nope", "w1"], "NOT_FOUND", "there are: ", "base"),
        Row("embed: neither base nor adapter", ["embed", "w1"], "INVALID_ARGUMENT", "adapter or a base", "adapter"),
        Row("promote an unknown version", ["promote", "good", "9"], "NOT_FOUND", "9", "version"),
        Row("promote an unknown adapter", ["promote", "nope", "1"], "NOT_FOUND", "nope", "adapter"),
        Row("roll back what was never moved", ["rollback", "good"], "FAILED_PRECONDITION", "live"),
        Row("show an unknown adapter", ["adapter", "nope"], "NOT_FOUND", "nope"),
        Row("export an unknown version", ["export", "good@9", "/nonexistent/graft"], "NOT_FOUND", "9", "adapter"),
        Row("show an unknown job", ["job", "nope"], "NOT_FOUND", "nope"),
        Row("cancel an unknown job", ["cancel", "nope"], "NOT_FOUND", "nope"),
        Row("watch an unknown job", ["watch", "nope"], "NOT_FOUND", "nope"),
        Row("list with an unknown field", ["jobs", "--filter", "colour=red"], "INVALID_ARGUMENT", "state", "filter"),
        Row("list with an unknown state", ["jobs", "--filter", "state=SLEEPING"], "INVALID_ARGUMENT", "RUNNING", "filter"),
    ]


def text_rows():
    """Of texts and scores; the good base's adapter classifies, the base "llama" generates."""
    text = ["generate", "--base", "llama"]
    chat = [*text, "--chat"]
    invalid = "INVALID_ARGUMENT"
    return [
        Row("generate: a classifier's adapter", ["generate", "--adapter", "good", "w1"], "FAILED_PRECONDITION",
            "generates no text", "adapter", "NO_LANGUAGE_MODEL"),
        Row("generate: an encoder", ["generate", "--base", "tiny", "w1"], "FAILED_PRECONDITION", "no language head", "base",
            "NO_LANGUAGE_HEAD"),
        Row("generate: unknown adapter", ["generate", "--adapter", "nope", "w1"], "NOT_FOUND", "nope", "adapter"),
        Row("generate: unknown base", ["generate", "--base", "nope", "w1"], "NOT_FOUND", "there are: ", "base"),
        Row("generate: base and adapter", [*text, "--adapter", "good", "w1"], invalid, "either", exit=USAGE),
        Row("generate: neither", ["generate", "w1"], invalid, "either", exit=USAGE),
        Row("generate: no prompt", text, invalid, "no text given", exit=USAGE),
        Row("generate: empty prompt", [*text, ""], invalid, "empty", "prompt"),
        Row("generate: prompt beyond the context", [*text, "the cat " * 200], invalid, "128", "prompt"),
        Row("generate: prompt of 100 MB", [*text, "-"], invalid, "line 1", exit=USAGE, text="x" * HUGE),
        Row("generate: max_tokens 0", [*text, "--max-tokens", "0", "w1"], invalid, "1 to 128", "generation.max_tokens"),
        Row("generate: max_tokens huge", [*text, "--max-tokens", str(2**62), "w1"], invalid, "1 to 128", "generation.max_tokens"),
        Row("generate: temperature NaN", [*text, "--temperature", "nan", "w1"], invalid, "0 to 100", "generation.temperature"),
        Row("generate: top_p 2", [*text, "--top-p", "2", "w1"], invalid, "0 to 1", "generation.top_p"),
        Row("generate: n 65", [*text, "--n", "65", "w1"], invalid, "1 to 64", "generation.n"),
        Row("generate: stop string of 100 kB", [*text, "--stop", "x" * 100_000, "w1"], invalid, "512", "generation.stop[0]"),
        Row("generate: 17 stop strings", [*text, *["--stop", "x"] * 17, "w1"], invalid, "16", "generation.stop"),
        Row("generate: unknown end token", [*text, "--end-token", "80", "w1"], invalid, "0 to 79", "generation.end_tokens[0]"),
        Row("chat: beyond the context", [*chat, "the cat " * 200], invalid, "128", "chat.messages"),
        Row("chat: a variable that the template has already", [*chat, "--template-variable", "messages=[]", "w1"], invalid,
            "messages", "chat.variables.messages"),
        Row("chat: broken template", ["generate", "--base", "torn-template", "--chat", "w1"], invalid, "line 2", "chat_template",
            "TEMPLATE_SYNTAX"),
        Row("chat: template says no", ["generate", "--base", "stern-template", "--chat", "w1"], invalid, "only questions",
            "chat_template", "TEMPLATE_REFUSED"),
        Row("chat: endless template", ["generate", "--base", "endless-template", "--chat", "w1"], invalid, "steps",
            "chat_template", "TEMPLATE_LIMIT"),
        Row("chat: no template", ["chat", "--base", "no-template"], "FAILED_PRECONDITION", "prompt", "chat", "NO_CHAT_TEMPLATE",
            text="w1\n"),
        Row("score: beyond the context", ["score", "--base", "llama", "the cat " * 200], invalid, "128", "inputs[0].text"),
        Row("score: an encoder", ["score", "--base", "tiny", "w1"], "FAILED_PRECONDITION", "no language head", "base",
            "NO_LANGUAGE_HEAD"),
        Row("score: empty text", ["score", "--base", "llama", ""], invalid, "empty", "inputs[0].text"),
    ]


def run_rows(good):
    """Faults that only the worker finds: the job ends FAILED."""
    return [
        Row("loss that isn't finite", submit("x", good, base="overflow"), "FAILED_PRECONDITION", "finite",
            "hyperparameters.learning_rate", "NON_FINITE_LOSS"),
        Row("base with a NaN", submit("x", good, base="nan"), "INVALID_ARGUMENT", "holds a NaN"),
    ]
