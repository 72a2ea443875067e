"""Base folders as people bring them: the table, how each is made, and what transformers reads in them.

    foreign_bases.py make FOLDER     makes those rows' folders that this environment's transformers makes
    foreign_bases.py read FOLDER     prints a JSON line a row: what transformers makes of that very folder

Runs in the two reference environments (transformers 4 and 5); foreign_bases_test.py drives it. The table below was written
before graft read these folders: a row's outcome is LOADS, or the words that the refusal must hold.
"""
import json
import os
import shutil
import sys
import warnings
from pathlib import Path

LOADS = "loads"
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "data"
HASH = "0123456789abcdef0123456789abcdef01234567"

# Name, the version of transformers that makes it, the golden base that it is made of, outcome.
TABLE = [
    # As each version of transformers saves them.
    ("v5-bert", 5, "bert", LOADS),
    ("v5-distilbert", 5, "distilbert", LOADS),
    ("v5-cased", 5, "bert", LOADS),
    ("v5-added-tokens", 5, "bert", LOADS),
    ("v5-sharded-bf16", 5, "bert", LOADS),
    ("v5-classifier", 5, "distilbert", LOADS),
    ("v5-truncation-left", 5, "bert", LOADS),
    ("v5-own-pipeline", 5, "bert", LOADS),
    ("v5-trainer-checkpoint", 5, "bert", LOADS),
    ("v4-bert", 4, "bert", LOADS),
    ("v4-distilbert", 4, "distilbert", LOADS),
    ("v4-slow", 4, "bert", LOADS),
    ("v4-slow-added-tokens", 4, "bert", LOADS),
    ("v4-slow-cased", 4, "distilbert", LOADS),
    ("v4-fp16", 4, "distilbert", LOADS),
    ("v4-sharded", 4, "distilbert", LOADS),
    ("v4-pretraining", 4, "bert", LOADS),
    ("v4-masked-lm-added", 4, "distilbert", LOADS),
    ("v4-mask-lstrip", 4, "bert", LOADS),
    # As older versions and other programs left them on the Hub.
    ("vocab-only", 4, "bert", LOADS),
    ("vocab-only-cased", 4, "distilbert", LOADS),
    ("gamma-and-beta", 4, "bert", LOADS),
    ("without-prefix", 4, "bert", LOADS),
    ("position-ids", 4, "bert", LOADS),
    ("case-beside-tokenizer-json", 4, "bert", LOADS),
    ("added-tokens-json", 4, "bert", LOADS),
    ("special-tokens-map", 4, "bert", LOADS),
    ("old-added-special", 4, "bert", LOADS),
    ("numbered-with-gaps", 4, "bert", LOADS),
    ("many-added-tokens", 4, "bert", LOADS),
    ("hub-snapshot", 5, "distilbert", LOADS),
    ("linked-hub-snapshot", 5, "bert", LOADS),
    ("sentence-transformers", 5, "bert", LOADS),
    ("git-clone", 4, "bert", LOADS),
    ("Name-In-Capitals-v1.5", 4, "bert", LOADS),
    # What says whether pairs of texts have token types.
    ("no-type-inputs", 4, "bert", LOADS),
    ("typeless-class", 4, "bert", LOADS),
    # What isn't read.
    ("pickle-only", 4, "bert", "pickle"),
    ("roberta-tokenizer", 5, "bert", "tokenizer_config.json: the tokenizer_class \"RobertaTokenizer\" isn't built"),
    ("japanese-tokenizer", 4, "bert", "tokenizer_config.json: the tokenizer_class \"BertJapaneseTokenizer\" isn't built"),
    ("long-words", 4, "bert", "tokenizer.json: the model's max_input_chars_per_word isn't 100"),
    ("two-lists", 4, "bert", "added_tokens_decoder lacks \"qq\""),
    ("too-few-embeddings", 5, "bert", "its tokenizer knows 98 tokens, its embeddings hold 97"),
    ("hub-cache-folder", 5, "bert", "link the snapshot's folder into --bases"),
    ("relative-positions", 4, "bert", "position_embedding_type \"relative_key\""),
    ("other-family", 4, "bert", "models of type electra"),
    ("lfs-weights", 4, "bert", "model.safetensors is a Git LFS pointer, not the file itself; run git lfs pull"),
    ("lfs-tokenizer", 5, "bert", "tokenizer.json is a Git LFS pointer"),
    ("lfs-vocabulary", 4, "distilbert", "vocab.txt is a Git LFS pointer"),
    ("web-page", 4, "bert", "config.json is a web page"),
    ("whole-numbers", 4, "bert", "is I32; weights in F32, F16, BF16 and F64 are read"),
    ("overruled-normalizer", 4, "bert", "the added token \"QQ\" reads otherwise"),
    ("capitals-made-small", 4, "bert", "sentence_bert_config.json says do_lower_case"),
    ("prompted", 5, "bert", "default_prompt_name puts the prompt \"query\" before each text"),
]

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 90866412\n"
TEXTS = [
    "W1 w2 W3 w4", "w1w2 W5", "w90 qq ZZ zz Qq w3", "a [MASK] w1 [E1] <e1> [e1]", "w1, w2! w3\u3002w4", "\u4e2d w7 \u56fd w8",
    "w\u00e91 w\u0301w1 R\u00c9SUM\u00c9 w1\u0300", "w1\u200bw2 w3\u00a0w4\tw5", "[CLS] w1 [SEP]w2[UNK] [PAD]", " w9  [MASK]  w8 ",
    "term7x w1 term19999xterm0x TERM5X", "w1 " * 60, "w5 " * 10 + "w6 " * 50, "x" * 100 + " w1", "", "w1_w2 qqw1 w1qq qq,zz",
]
CUT = 12  # Tokens that texts are cut to.
PAIR = ("w1 w2", "w3 w4 w5")
SEQ_LENGTH = 16  # What the row "sentence-transformers" says.
EMBEDDED = ["w1 w2 w3", "w4 qq zz w90", "W5 w6 [MASK]", "w7 " * 25]


def golden(family, folder):
    shutil.copytree(GOLDEN / f"base-{family}", folder)
    for path in folder.iterdir():
        path.chmod(0o644)


def edit_json(path, **changes):
    values = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**values, **changes}))


def tensors_of(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def write_tensors(folder, tensors):
    from safetensors.torch import save_file

    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors",
              metadata={"format": "pt"})


def grow(folder, count):
    """Adds rows to the word embeddings, as resize_token_embeddings would."""
    import torch

    tensors = tensors_of(folder)
    name = next(name for name in tensors if name.endswith("word_embeddings.weight"))
    more = 0.5 * torch.randn(count, tensors[name].shape[1], generator=torch.Generator().manual_seed(1))
    tensors[name] = torch.cat([tensors[name], more])
    write_tensors(folder, tensors)
    edit_json(folder / "config.json", vocab_size=len(tensors[name]))


def tokenizer_of(family, fast=True, **options):
    import transformers

    name = {"bert": "BertTokenizer", "distilbert": "DistilBertTokenizer"}[family]
    made = getattr(transformers, name + "Fast" if fast else name)
    return made.from_pretrained(GOLDEN / f"base-{family}", **options)


def save(folder, family, tokenizer, kind="AutoModel", dtype=None, shard=None):
    import transformers

    model = getattr(transformers, kind).from_pretrained(GOLDEN / f"base-{family}")
    if len(tokenizer) > model.config.vocab_size:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    if dtype:
        model = model.to(dtype)
    model.save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    tokenizer.save_pretrained(folder)


def own_pipeline():
    """A tokenizer put together by hand, as the tokenizers library's tour does."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    words = (GOLDEN / "base-bert" / "vocab.txt").read_text().splitlines()
    made = Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]",
                                      max_input_chars_per_word=50))
    made.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()])
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    made.decoder = decoders.WordPiece()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]",
        mask_token="[MASK]")


def snapshot(folder, family, files):
    """As the Hub's cache keeps a model: names that link to blobs two folders up."""
    made = files.parent / (files.name + "-made")
    save(made, family, tokenizer_of(family))
    blobs = files.parent.parent / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    files.mkdir(parents=True)
    for path in made.iterdir():
        blob = f"{family}{abs(hash(path.name)):x}"
        shutil.move(path, blobs / blob)
        (files / path.name).symlink_to(Path("../../blobs") / blob)
    made.rmdir()
    if folder != files:
        folder.symlink_to(files, target_is_directory=True)


def make_saved(name, family, folder):
    """The rows that a version of transformers saves by itself."""
    import torch

    if name == "v5-cased":
        save(folder, family, tokenizer_of(family, do_lower_case=False))
    elif name in ("v5-added-tokens", "v4-masked-lm-added"):
        tokenizer = tokenizer_of(family)
        tokenizer.add_tokens(["qq", "Zz"])
        tokenizer.add_special_tokens({"additional_special_tokens": ["<e1>"]})
        save(folder, family, tokenizer, "AutoModel" if name[1] == "5" else "AutoModelForMaskedLM")
    elif name == "v5-sharded-bf16":
        save(folder, family, tokenizer_of(family), dtype=torch.bfloat16, shard="40KB")
    elif name == "v5-classifier":
        save(folder, family, tokenizer_of(family), "AutoModelForSequenceClassification")
    elif name == "v5-truncation-left":
        save(folder, family, tokenizer_of(family, truncation_side="left"))
    elif name == "v5-own-pipeline":
        save(folder, family, own_pipeline())
    elif name == "v5-trainer-checkpoint":
        save(folder, family, tokenizer_of(family), "AutoModelForSequenceClassification")
        torch.save({"state": {}}, folder / "optimizer.pt")
        torch.save({"args": 1}, folder / "training_args.bin")
        torch.save({}, folder / "rng_state.pth")
        (folder / "trainer_state.json").write_text('{"global_step": 500}')
    elif name == "v4-slow":
        save(folder, family, tokenizer_of(family, fast=False))
    elif name == "v4-slow-added-tokens":
        tokenizer = tokenizer_of(family, fast=False)
        tokenizer.add_tokens(["qq", "zz"])
        tokenizer.add_special_tokens({"additional_special_tokens": ["[E1]"]})
        save(folder, family, tokenizer)
    elif name == "v4-slow-cased":
        save(folder, family, tokenizer_of(family, fast=False, do_lower_case=False))
    elif name == "v4-fp16":
        save(folder, family, tokenizer_of(family), dtype=torch.float16)
    elif name == "v4-sharded":
        save(folder, family, tokenizer_of(family), shard="40KB")
    elif name == "v4-pretraining":
        save(folder, family, tokenizer_of(family), "AutoModelForPreTraining")
    elif name == "v4-mask-lstrip":
        from tokenizers import AddedToken

        save(folder, family, tokenizer_of(family, mask_token=AddedToken("[MASK]", lstrip=True, normalized=False)))
    else:
        save(folder, family, tokenizer_of(family))


def make_weights(name, family, folder):
    """The rows whose weights are in another form."""
    import torch

    golden(family, folder)
    tensors = tensors_of(folder)
    if name == "gamma-and-beta":
        tensors = {key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
                   for key, tensor in tensors.items()}
    elif name == "without-prefix":
        tensors = {key.removeprefix("bert."): tensor for key, tensor in tensors.items() if key.startswith("bert.")}
    elif name == "position-ids":
        tensors["bert.embeddings.position_ids"] = torch.arange(40).reshape(1, 40)
    elif name == "pickle-only":
        torch.save(tensors, folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
        return
    write_tensors(folder, tensors)


def make_tokenizer(name, family, folder):
    """The rows whose tokenizer files say something of their own."""
    golden(family, folder)
    config, added = folder / "tokenizer_config.json", folder / "added_tokens.json"
    if name == "vocab-only-cased":
        config.write_text('{"do_lower_case": false, "model_max_length": 512}')
    elif name == "case-beside-tokenizer-json":
        tokenizer_of(family).save_pretrained(folder)
        config.write_text(json.dumps({"do_lower_case": False, "strip_accents": None, "tokenize_chinese_chars": True,
                                      "do_basic_tokenize": True, "never_split": None, "tokenizer_class": "BertTokenizer"}))
        (folder / "special_tokens_map.json").unlink(missing_ok=True)
    elif name == "added-tokens-json":
        added.write_text('{"qq": 97, "zz": 98}')
        grow(folder, 2)
    elif name == "special-tokens-map":
        config.write_text('{"do_lower_case": true}')
        (folder / "special_tokens_map.json").write_text(json.dumps({
            "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]",
            "mask_token": "[MASK]", "additional_special_tokens": ["<e1>", "[E1]"]}))
        grow(folder, 2)
    elif name == "old-added-special":
        config.write_text('{"do_lower_case": false}')
        added.write_text('{"<e1>": 97, "qq": 98}')
        (folder / "special_tokens_map.json").write_text('{"additional_special_tokens": ["<e1>"]}')
        grow(folder, 2)
    elif name == "many-added-tokens":
        tokenizer = tokenizer_of(family)
        tokenizer.add_tokens([f"term{i}x" for i in range(20000)])
        tokenizer.save_pretrained(folder)
        grow(folder, 20000)
    elif name == "roberta-tokenizer":
        config.write_text('{"tokenizer_class": "RobertaTokenizer"}')
    elif name == "japanese-tokenizer":
        config.write_text('{"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "mecab"}')
    elif name == "numbered-with-gaps":
        added.write_text('{"qq": 103, "zz": 99}')
        grow(folder, 7)
    elif name == "too-few-embeddings":
        added.write_text('{"qq": 97}')
    elif name in ("long-words", "two-lists"):
        tokenizer = tokenizer_of(family)
        if name == "two-lists":
            tokenizer.add_tokens(["qq"])
            grow(folder, 1)
        tokenizer.save_pretrained(folder)
        path = folder / "tokenizer.json"
        pipeline = json.loads(path.read_text())
        if name == "long-words":
            pipeline["model"]["max_input_chars_per_word"] = 50000
        path.write_text(json.dumps(pipeline))
        listed = {str(i): {"content": token, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False,
                           "special": True} for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])}
        edit_json(config, added_tokens_decoder=listed)
    elif name == "no-type-inputs":
        config.write_text('{"model_input_names": ["input_ids", "attention_mask"]}')
    elif name == "typeless-class":
        config.write_text('{"tokenizer_class": "DistilBertTokenizer"}')
    elif name == "lfs-weights":
        (folder / "model.safetensors").write_text(POINTER)
    elif name == "lfs-tokenizer":
        (folder / "tokenizer.json").write_text(POINTER)
    elif name == "lfs-vocabulary":
        (folder / "vocab.txt").write_text(POINTER)
    elif name == "web-page":
        (folder / "config.json").write_text("<!DOCTYPE html>\n<html><body>Sign in</body></html>\n")
    elif name == "whole-numbers":
        write_tensors(folder, {key: value.round().int() for key, value in tensors_of(folder).items()})
    elif name == "overruled-normalizer":
        tokenizer = tokenizer_of(family)
        tokenizer.add_tokens(["QQ"])
        tokenizer.save_pretrained(folder)
        grow(folder, 1)
        edit_json(config, do_lower_case=False)
    elif name == "relative-positions":
        edit_json(folder / "config.json", position_embedding_type="relative_key")
    elif name == "other-family":
        edit_json(folder / "config.json", model_type="electra")


def make_layout(name, family, folder):
    """The rows with more in their folder than a model, or with its files elsewhere."""
    if name == "hub-snapshot":
        snapshot(folder, family, folder)
        return
    if name == "linked-hub-snapshot":
        snapshot(folder, family, folder.parent.parent / "hub" / "models--org--name" / "snapshots" / HASH)
        return
    if name == "hub-cache-folder":
        files = folder / "snapshots" / HASH
        snapshot(files, family, files)
        return
    cased = name == "capitals-made-small"
    save(folder, family, tokenizer_of(family, do_lower_case=not cased))
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs diff=lfs merge=lfs -text\n")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# A model\n")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"\x08\x07")
    if name in ("git-clone", "Name-In-Capitals-v1.5"):
        (folder / ".git").mkdir()
        (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
        (folder / "pytorch_model.bin").write_bytes(b"PK\x03\x04")
        (folder / "tf_model.h5").write_bytes(b"\x89HDF")
        return
    (folder / "modules.json").write_text(json.dumps([
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({
        "word_embedding_dimension": 48, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False,
        "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": SEQ_LENGTH, "do_lower_case": cased}))
    chosen = "query" if name == "prompted" else None
    (folder / "config_sentence_transformers.json").write_text(json.dumps(
        {"__version__": {"sentence_transformers": "3.0.0"}, "prompts": {"query": "w1 "}, "default_prompt_name": chosen}))


def make(folder, version):
    layouts = ("hub-snapshot", "linked-hub-snapshot", "hub-cache-folder", "sentence-transformers", "git-clone",
               "Name-In-Capitals-v1.5", "prompted", "capitals-made-small")
    weights = ("gamma-and-beta", "without-prefix", "position-ids", "pickle-only")
    for name, maker, family, _ in TABLE:
        if maker != version:
            continue
        if name.startswith(("v4-", "v5-")):
            make_saved(name, family, folder / name)
        elif name in layouts:
            make_layout(name, family, folder / name)
        elif name in weights:
            make_weights(name, family, folder / name)
        else:
            make_tokenizer(name, family, folder / name)


def read(folder, version):
    """For each row: ids of TEXTS, whole and cut, and the first token's last state of EMBEDDED."""
    import torch
    import transformers

    for name, _, family, outcome in TABLE:
        path = folder / name
        row = {"name": name, "version": version}
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(path)
            tokenizer.backend_tokenizer.no_padding()
            row["ids"] = [tokenizer(text)["input_ids"] for text in TEXTS]
            row["cut"] = [tokenizer(text, truncation=True, max_length=CUT)["input_ids"] for text in TEXTS]
            if outcome == LOADS:
                kind = {"bert": "BertModel", "distilbert": "DistilBertModel"}[family]
                model = getattr(transformers, kind).from_pretrained(path).float().eval()
                row["embeddings"] = []
                length = SEQ_LENGTH if name == "sentence-transformers" else 40
                for text in [*([text] for text in EMBEDDED), PAIR]:
                    inputs = tokenizer(*text, return_tensors="pt", truncation=True, max_length=length)
                    with torch.no_grad():
                        row["embeddings"].append(model(**inputs).last_hidden_state[0, 0].tolist())
        except Exception as error:  # What this version can't load, the other may.
            row["error"] = f"{type(error).__name__}: {error}"[:300]
        print(json.dumps(row), flush=True)


def main():
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    warnings.filterwarnings("ignore")
    import transformers

    transformers.logging.set_verbosity_error()
    version = int(transformers.__version__.split(".", maxsplit=1)[0])
    action, folder = sys.argv[1], Path(sys.argv[2])
    {"make": make, "read": read}[action](folder, version)


if __name__ == "__main__":
    main()
