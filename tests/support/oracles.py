"""The Python environments of the reference libraries that scripts/setup.sh makes, for tests written in Python."""
import json
import os
import subprocess
from pathlib import Path


def cache():
    """What scripts/setup.sh fills: environments and base models."""
    return Path(os.environ.get("GRAFT_CACHE", Path.home() / ".cache" / "graft"))


def find_python(name):
    """The Python of an environment; None, saying that it is missing, if a test that needs it is to be skipped."""
    python = cache() / name / "bin/python"
    if python.exists():
        return python
    print(f"skipped: {python} is missing; scripts/setup.sh installs it")
    return None


def find_oracles():
    """{library: its Python}; None, saying what is missing, if a test that needs them is to be skipped."""
    pythons = {"peft": cache() / "oracle-peft/bin/python", "adapters": cache() / "oracle-adapters/bin/python"}
    pythons["transformers"] = pythons["peft"]
    for python in pythons.values():
        if not python.exists():
            print(f"skipped: {python} is missing; scripts/setup.sh installs it")
            return None
    return pythons


def ask_oracle(python, oracle, tasks, folder):
    """What the program `oracle` prints of each task, from one process of the reference environment."""
    path = folder / "tasks.json"
    path.write_text(json.dumps(tasks))
    done = subprocess.run([python, oracle, path], capture_output=True, text=True, timeout=600, check=False,
                          env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    assert done.returncode == 0, f"{python} {oracle} failed:\n{done.stderr[-3000:]}"
    return [json.loads(line) for line in done.stdout.splitlines()]
