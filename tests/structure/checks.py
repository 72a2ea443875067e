"""Checks over the tree of sources. Each takes {path: text} and returns a list of sentences, empty if all is well."""

import os
import re
import subprocess

import layers

MAX_LINES = 600
CODE = (".h", ".cc")
TEXT = CODE + (".proto", ".py", ".sh", ".cmake", ".txt", ".md", ".json", ".yaml", ".yml", "")

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', re.MULTILINE)
_CMAKE_CALL = re.compile(r"\b(graft_library|graft_executable|graft_test|target_link_libraries)\s*\(([^()]*)\)")


def read_tree(root):
    """The project's own text files, by path relative to `root`: those git tracks, or without git all but builds."""
    try:
        listed = subprocess.run(["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z"], check=True,
                                capture_output=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        listed = []
        for folder, names, files in os.walk(root):
            names[:] = [n for n in names if n not in (".git", "build", "__pycache__", "graft-data")]
            listed += [os.path.relpath(os.path.join(folder, f), root) for f in files]
    tree = {}
    for path in listed:
        full = os.path.join(root, path)
        if not path or not os.path.isfile(full):
            continue
        with open(full, "rb") as file:
            data = file.read()
        if b"\0" not in data[:8192]:
            tree[path] = data.decode("utf-8", errors="replace")
    return tree


def _includes(text):
    return _INCLUDE.findall(text)


def _code(tree):
    return {path: text for path, text in tree.items() if path.endswith(CODE)}


def _layer_of_include(include):
    if include.startswith("graft/") and include.endswith(".pb.h"):
        return "proto"
    return layers.layer_of(include)


def check_includes(tree):
    """Every #include follows an arrow; a library that a layer may not use is not reached through a header either."""
    code = _code(tree)
    faults = []
    reached = {}  # path -> {library: the include that brings it}

    def libraries(path, open_paths=()):
        if path not in reached and path not in open_paths:
            found = {}
            for include in _includes(code[path]):
                library = layers.library_of(include)
                if include.startswith("graft/") and include.endswith(".pb.h"):
                    found.setdefault("protobuf", include)
                    if include.endswith(".grpc.pb.h"):
                        found.setdefault("grpc", include)
                elif library:
                    found.setdefault(library, include)
                elif include in code:
                    for name in libraries(include, open_paths + (path,)):
                        found.setdefault(name, include)
            reached[path] = found
        return reached.get(path, {})

    for path in sorted(code):
        layer = layers.layer_of(path)
        if layer is None:
            faults.append(f"{path}: its folder is no layer; name it in tests/structure/layers.py")
        if not layer:
            continue
        rule = layers.LAYERS[layer]
        for include in _includes(code[path]):
            target = _layer_of_include(include)
            if target is None and include in code:
                faults.append(f"{path}: includes {include}, whose folder is no layer")
            elif target == "" or (target and target != layer and target not in rule.folders and
                                  not layer.startswith(target + "/")):
                faults.append(f"{path}: {layer} may not include {include}")
        for library, include in sorted(libraries(path).items()):
            if library not in rule.libraries:
                faults.append(f"{path}: {layer} may not use {library}, which {include} brings")
    return faults


def check_links(tree):
    """The libraries that CMake targets name follow the same arrows."""
    folder_of = {}
    for path, text in tree.items():
        if os.path.basename(path) == "CMakeLists.txt":
            for call, body in _CMAKE_CALL.findall(_without_comments(text)):
                if call == "graft_library":
                    folder_of["graft::" + _arguments(body).get("NAME", ["?"])[0]] = os.path.dirname(path)
    folder_of["graft::proto"] = "proto"

    faults = []
    for path, text in sorted(tree.items()):
        if os.path.basename(path) != "CMakeLists.txt":
            continue
        layer = layers.layer_of(path)
        if not layer:
            continue
        rule = layers.LAYERS[layer]
        for call, body in _CMAKE_CALL.findall(_without_comments(text)):
            arguments = _arguments(body)
            for linked in arguments.get("PUBLIC", []) + arguments.get("PRIVATE", []) + arguments.get("LIBS", []):
                library = layers.library_of_target(linked)
                if library and library not in rule.libraries:
                    faults.append(f"{path}: {layer} may not link {linked}")
                folder = folder_of.get(linked)
                target = layers.layer_of(folder + "/x") if folder else None
                if target and target != layer and target not in rule.folders and not layer.startswith(target + "/"):
                    faults.append(f"{path}: {layer} may not link {linked}, which is {target}")
    return faults


def _without_comments(text):
    return re.sub(r"#.*", "", text)


def _arguments(body):
    """CMake's KEY value value KEY2 ... as {KEY: [values]}."""
    found = {}
    key = ""
    for word in re.sub(r"\$<[^>]*>", "", body).split():
        if re.fullmatch(r"[A-Z]+", word):
            key = word
            found.setdefault(key, [])
        else:
            found.setdefault(key, []).append(word)
    return found


def check_table(table):
    """The arrows between layers form no circle."""
    faults = []
    done = set()

    def visit(layer, trail):
        if layer in trail:
            faults.append("a circle of layers: " + " -> ".join(trail[trail.index(layer):] + [layer]))
            return
        if layer in done:
            return
        for below in sorted(table[layer].folders):
            if below not in table:
                faults.append(f"{layer} may include {below}, which is no layer")
            else:
                visit(below, trail + [layer])
        done.add(layer)

    for layer in sorted(table):
        visit(layer, [])
    return faults


def is_generated(text):
    """Generated files say so in their first lines, in these words."""
    return "generated by" in "\n".join(text.splitlines()[:5]).lower()


def check_sizes(tree):
    """No hand-written file is longer than MAX_LINES."""
    faults = []
    for path, text in sorted(tree.items()):
        checked = path.endswith(CODE + (".py", ".sh", ".proto", ".cmake")) or path.endswith("CMakeLists.txt")
        lines = text.count("\n")
        if checked and lines > MAX_LINES and not is_generated(text):
            faults.append(f"{path}: {lines} lines, more than {MAX_LINES}; split it")
    return faults


def check_headers(tree):
    """Every header has #pragma once and begins with what it is for."""
    faults = []
    for path, text in sorted(tree.items()):
        if not path.endswith(".h"):
            continue
        if "#pragma once" not in text:
            faults.append(f"{path}: no #pragma once")
        if "///" not in text and not is_generated(text):
            faults.append(f"{path}: no /// contract")
    return faults


def check_environment(tree):
    """The environment is read in a main.cc and handed on; elsewhere it would be a hidden input."""
    faults = []
    for path, text in sorted(_code(tree).items()):
        if path.startswith(("tests/", "bench/")) or os.path.basename(path) == "main.cc":
            continue
        if re.search(r"\b(secure_)?getenv\s*\(", text):
            faults.append(f"{path}: reads the environment, which only a main.cc may")
    return faults


# Each makes a thread, or may, without the wall that StartThread puts in front of its body.
_THREADS = re.compile(r"\bstd::j?thread\s*[({](?!\s*[)}])|\bstd::j?thread\s+[a-z]\w*\s*[({]|\bstd::jthread\b|\bstd::async\b|"
                      r"\bpthread_create\b|\bemplace_back\(\s*\[|\bthread_\(\s*\[|\bthread_pool::spawn\b")
_THREAD_WALL = "common/base/guard.cc"


def check_threads(tree):
    """Threads of the product begin in StartThread, so that no exception ends a process."""
    faults = []
    for path, text in sorted(_code(tree).items()):
        if path.startswith(("tests/", "bench/", "examples/")) or path == _THREAD_WALL:
            continue
        uses_threads = "std::thread" in text or "std::jthread" in text
        for match in _THREADS.finditer(text):
            if match.group(0).startswith("emplace_back") and not uses_threads:
                continue
            line = text.count("\n", 0, match.start()) + 1
            faults.append(f"{path}:{line}: begins a thread without StartThread (common/base/guard.h)")
    return faults


_HAND_QUOTED = re.compile(r'\\""\s*\+|\+\s*"\\"|\\"\{[^}"]*\}\\"')
_HAND_CUT = re.compile(r"substr\(\s*0\s*,\s*(\d+)\s*\)")
_HASH_PREFIX = 12  # Digits of a hash, as they are shown; more is somebody's text.


def check_messages(tree):
    """Text of users is quoted and cut by common/base/utf8.h alone, which hides nothing and splits no character."""
    faults = []
    for path, text in sorted(_code(tree).items()):
        if path.startswith(("tests/", "bench/")) or path == "common/base/utf8.cc":
            continue
        for pattern, what in ((_HAND_QUOTED, "text in quotes made by hand; use Quoted()"),
                              (_HAND_CUT, "text cut between bytes; use Printable() or Quoted()")):
            for match in pattern.finditer(text):
                if pattern is _HAND_CUT and int(match.group(1)) <= _HASH_PREFIX:
                    continue
                line = text.count("\n", 0, match.start()) + 1
                faults.append(f"{path}:{line}: {what}")
    return faults


# What a family is called, and what it calls its modules, in a string. A quote that is escaped ends none.
_FAMILY_NAMES = re.compile(r"\b(bert|distilbert|roberta|gpt2|llama|mistral|qwen\d?)\b|(Distil)?Bert(?=[A-Z\"])|LayerNorm|"
                           r"layer_norm\b|word_embeddings|\.embeddings\.|\bpooler\.|\b[qkv]_(lin|proj)\b|self\.(query|key|value)\b")
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
# The families themselves, and formats that use such words for all of them.
_MAY_NAME_FAMILIES = ("common/families/", "common/tokenizers/", "worker/engine/families/", "tests/", "bench/",
                      "common/safetensors/checkpoint.cc", "common/methods/hub_config.cc")


def check_family_names(tree):
    """Only families know names of families and of their modules; all else asks the layout for roles."""
    faults = []
    for path, text in sorted(_code(tree).items()):
        if path.startswith(_MAY_NAME_FAMILIES):
            continue
        for number, line in enumerate(text.split("\n"), 1):
            if line.lstrip().startswith(("//", "#")):
                continue
            for string in _STRING.findall(line.partition(" //")[0]):
                name = _FAMILY_NAMES.search(string)
                if name:
                    faults.append(f"{path}:{number}: names a family or its module, {name.group(0)!r}; ask the layout")
    return faults


# In pieces, so that this file does not hold what it forbids.
_BANNED = [
    (re.compile(r"(?<![\w.>}])/" + r"(work|root|home|Users|mnt)/(?!\.\.\.)[\w.]"), "a path of one machine"),
    (re.compile(r"\b(" + "|".join([
        "py" + r"pi\.org", "python" + r"hosted\.org", "download" + r"\.pytorch\.org", "anaconda" + r"\.org",
        "deb" + r"\.debian\.org", "archive" + r"\.ubuntu\.com", "gh" + r"cr\.io", "docker" + r"\.io",
        "quay" + r"\.io", "g" + r"cr\.io", "npm" + r"js\.(org|com)", "huggingface" + r"\.co\b"]) + r")"),
     "the host of a registry"),
    (re.compile(r"\b(" + "TO" + "DO|FIX" + "ME|XX" + r"X)\b"), "a note of work to do"),
    (re.compile(r"\b[Ii]ssue" + r"s? #?\d+|(?<=[\s(])#\d+(?=[\s).,:]|$)"), "the number of an issue"),
    (re.compile(r"\bDISABLED" + r"_\w"), "a disabled test"),
]


def check_words(tree):
    """No machine's paths, registry hosts, open notes, issue numbers or disabled tests."""
    faults = []
    for path, text in sorted(tree.items()):
        if os.path.splitext(path)[1] not in TEXT or "/golden/" in path and not path.endswith((".py", ".h", ".cc")):
            continue
        for pattern, what in _BANNED:
            for match in pattern.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                faults.append(f"{path}:{line}: {what}: {match.group(0)!r}")
    return faults


def check_tests_registered(tree, compiled, registered):
    """Every test file is compiled, and its program is one of ctest's.

    compiled: {source path: program} as the build has it; registered: the text of all of ctest's files.
    """
    faults = []
    for path in sorted(tree):
        name = os.path.basename(path)
        if not path.startswith(("tests/", "bench/")):
            continue
        if name.endswith("_test.cc"):
            if path not in compiled:
                faults.append(f"{path}: not in any graft_test(FILES ...)")
            elif compiled[path] not in registered:
                faults.append(f"{path}: ctest does not run {compiled[path]}")
        elif name.endswith(("_test.py", "_test.sh")) and name not in registered:
            faults.append(f"{path}: ctest does not run it")
    return faults
