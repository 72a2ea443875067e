"""What both jobs of bench/quality ask their sides: programs that print their figures as the last line, in JSON."""
import json
import pathlib
import subprocess

# What of graft's own a peer may begin with: (initial values, orders).
EXCHANGES = {"graft's initial values": (True, False), "graft's orders": (False, True), "both": (True, True)}


def ask(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        program = next(pathlib.Path(word).name for word in command if not pathlib.Path(word).name.startswith("python"))
        raise RuntimeError(f"{program} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def ask_graft(chosen, base, job, files, folder):
    """Loss and accuracy on the second of the files; with a folder the version is written there instead."""
    figures = ask([chosen.graft, "--device", chosen.device, "--threads", str(chosen.threads), "--warmup", "0",
                   *(["--test", files[1]] if folder is None else ["--write", folder]), chosen.bases, base, job, files[0]])
    return {"loss": figures["test_loss"], "accuracy": figures["test_accuracy"]} if folder is None else None
