#!/usr/bin/env python3
"""Bases that come, change and go under a running graft-server, and jobs that exclude one another, through the whole service.

Added, replaced and removed bases are served, listed and refused as they are now, within seconds and without a restart; a base
that is overwritten or cut is never used half old and half new, and kills nobody; of two jobs that make one adapter on two bases
the second never trains; an adapter's figures are those of the state that was kept.
"""
import json
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import tiny_model  # noqa: E402
from live_graft import Graft, parse_paths, poll  # noqa: E402

SOON = 10  # Seconds within which a change on disk is known.


def write_data(path, rows=48):
    lines = [f"w{(i * 3) % 10 + 10 * (i % 2)} w{i % 10},{'high' if i % 2 else 'low'}" for i in range(rows)]
    path.write_text("\n".join(["text,label", *lines]) + "\n")


def overwrite(weights):
    """Another model of the same shapes over it, in the file as it lies: every number moves by one place."""
    with open(weights, "r+b") as file:
        start = 8 + struct.unpack("<Q", file.read(8))[0]
        file.seek(start)
        body = file.read()
        file.seek(start)
        file.write(body[4:] + body[:4])


class Test:
    def __init__(self, graft, folder):
        self.graft, self.bases = graft, folder / "bases"
        self.data = f"file://{folder / 'data.csv'}"
        self.folder = folder

    def fingerprint(self, base):
        _, output, _ = self.graft.call("bases")
        known = {m["name"]: m for m in map(json.loads, output.splitlines())}
        return known.get(f"bases/{base}", {}).get("fingerprint")

    def submit(self, base, adapter, *more, method="lora", steps=2):
        return self.graft.submit("--base", base, "--adapter", adapter, "--train", self.data, "--method", method, "--max-steps",
                                 steps, "--precision", "FP32", *more)

    def ended(self, name):
        def look():
            job = self.graft.run("job", name)
            return job if job["state"] in ("SUCCEEDED", "FAILED", "CANCELLED") else None
        return poll(f"job {name}", look)

    def classify(self, adapter):
        return self.graft.run("classify", "--adapter", adapter, "w1 w2")

    def refusal(self, *arguments):
        """What a call that must fail said, and how long that took."""
        begin = time.monotonic()
        code, output, error = self.graft.call(*arguments)
        assert code != 0, f"{arguments} went well: {output}"
        return json.loads(error.splitlines()[-1])["error"], time.monotonic() - begin

    def added(self):
        tiny_model.write_base(self.bases / "late")
        tiny_model.write_lora(self.folder / "import", tiny_model.lora_tensors())
        begin = time.monotonic()
        self.graft.run("import", self.folder / "import", "--base", "late", "--adapter", "imported", "--label-name", "a",
                       "--label-name", "b")
        self.classify("imported@1")
        self.graft.run("embed", "--base", "late", "w1")
        self.graft.run("promote", "imported", "1")
        took = time.monotonic() - begin
        assert took < SOON, f"served after {took:.1f} s"
        assert self.ended(self.submit("late", "trained", "--promote"))["state"] == "SUCCEEDED"
        assert self.classify("trained")["provenance"]["base_fingerprint"] == self.fingerprint("late")
        print(f"an added base was served after {took:.1f} s")

    def replaced(self):
        before = self.fingerprint("late")
        overwrite(self.bases / "late" / "model.safetensors")
        poll("the new fingerprint", lambda: self.fingerprint("late") not in (None, before), deadline=SOON)
        poll("the end of the old one's service", lambda: self.graft.call("classify", "--adapter", "trained", "w1")[0] != 0,
             deadline=SOON)
        refused, _ = self.refusal("classify", "--adapter", "trained", "w1")
        assert refused["status"] == "FAILED_PRECONDITION" and "fingerprint" in refused["message"], refused
        # One learning rate that changes nothing: what is served is the new base and nothing of the old one.
        job = self.ended(self.submit("late", "top", "--lr", "1e-12", "--promote", method="last_layers", steps=1))
        assert job["state"] == "SUCCEEDED", job
        provenance = self.classify("top")["provenance"]
        assert provenance["base_fingerprint"] == self.fingerprint("late") != before, (provenance, before)
        again = self.ended(self.submit("late", "whole", "--lr", "1e-12", method="full", steps=1))
        assert again["state"] == "SUCCEEDED", again
        print("a replaced base was trained on as it is, and versions of the old one were refused")

    def replaced_while_training(self):
        weights = self.bases / "late" / "model.safetensors"
        kept = weights.read_bytes()
        name = self.submit("late", "outlasting", "--promote", steps=3000)
        poll("its first steps", lambda: int(self.graft.run("job", name).get("progress", {}).get("step", 0)) > 0)
        overwrite(weights)
        job = self.ended(name)
        assert job["state"] == "SUCCEEDED", job
        assert any("not made live" in warning for warning in job["warnings"]), job
        refused, _ = self.refusal("classify", "--adapter", "outlasting", "w1")
        assert "no live version" in refused["message"], refused
        refused, _ = self.refusal("classify", "--adapter", "outlasting@1", "w1")
        assert "fingerprint" in refused["message"], refused
        weights.write_bytes(kept)
        poll("its service on its own base", lambda: self.graft.call("promote", "outlasting", "1")[0] == 0, deadline=SOON)
        self.classify("outlasting")
        print("a job whose base was replaced while it trained kept its version for that base")

    def replaced_while_queued(self):
        blocker = self.submit("tiny", "blocker", steps=1_000_000)
        poll("the blocker's run", lambda: self.graft.run("job", blocker)["state"] == "RUNNING")
        waiting = self.submit("late", "waiting")
        poll("its place in the queue", lambda: self.graft.run("job", waiting)["state"] == "QUEUED")
        overwrite(self.bases / "late" / "model.safetensors")
        self.graft.run("cancel", blocker)
        job = self.ended(waiting)
        assert job["state"] == "FAILED", job
        assert job["error"]["details"][0]["reason"] == "BASE_CHANGED", job["error"]
        assert job["error"]["fault"] == "JOB" and len(job["attempts"]) == 1, job
        print("a job whose base was replaced while it waited ended with that reason")

    def cut(self):
        worker = self.worker_pid()
        assert self.ended(self.submit("tiny", "bystander", "--promote"))["state"] == "SUCCEEDED"
        weights = self.bases / "late" / "model.safetensors"
        kept = weights.read_bytes()
        blocker = self.submit("tiny", "blocker2", steps=1_000_000)
        poll("the blocker's run", lambda: self.graft.run("job", blocker)["state"] == "RUNNING")
        waiting = [self.submit("late", f"cut-{method}", method=method) for method in ("full", "last_layers", "lora")]
        for name in waiting:
            poll("its place in the queue", lambda: self.graft.run("job", name)["state"] == "QUEUED")
        for size in (len(kept) // 2, 0):
            with open(weights, "r+b") as file:
                file.truncate(size)
        self.graft.run("cancel", blocker)
        for name in waiting:
            job = self.ended(name)
            assert job["state"] == "FAILED" and "model.safetensors" in job["error"]["message"], job
        self.classify("bystander")
        assert self.worker_pid() == worker, "the worker is another process"
        weights.write_bytes(kept)
        assert self.ended(self.submit("late", "mended"))["state"] == "SUCCEEDED"
        print("a cut base ended the jobs on it, and nothing else; whole again, it was used again")

    def worker_pid(self):
        server = str(self.graft.process.child.pid)
        children = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text().rpartition(")")[2].split()
            except OSError:  # It ended meanwhile.
                continue
            if fields[1] == server:
                children.append(status.parent.name)
        return children

    def removed(self):
        shutil.rmtree(self.bases / "late")
        poll("the end of its service", lambda: self.graft.call("classify", "--adapter", "top", "w1")[0] != 0, deadline=SOON)
        for arguments in (["classify", "--adapter", "top", "w1"], ["promote", "top", "1"], ["embed", "--base", "late", "w1"],
                          ["submit", "--base", "late", "--adapter", "x", "--train", self.data, "--method", "lora"]):
            refused, took = self.refusal(*arguments)
            assert "no base named" in refused["message"], (arguments, refused)
            assert took < SOON, (arguments, took)
        assert self.fingerprint("late") is None
        assert self.fingerprint("tiny")
        print("a removed base was refused by name")

    def exclusive(self):
        tiny_model.write_base(self.bases / "other")
        blocker = self.submit("tiny", "blocker3", steps=1_000_000)
        poll("the blocker's run", lambda: self.graft.run("job", blocker)["state"] == "RUNNING")
        first, second = self.submit("tiny", "twin"), self.submit("other", "twin")
        self.graft.run("cancel", blocker)
        assert self.ended(first)["state"] == "SUCCEEDED"
        job = self.ended(second)
        assert job["state"] == "FAILED" and not job.get("attempts"), job
        assert job["error"]["details"][0]["reason"] == "BASE_MISMATCH", job["error"]
        print("of two jobs that made one adapter on two bases the second never trained")

    def kept(self):
        job = self.ended(self.submit("tiny", "kept", "--validation", self.data, "--hp", "keep_best=true",
                                     steps=12))
        assert job["state"] == "SUCCEEDED", job
        best = min(job["evaluations"], key=lambda e: e["loss"])
        code, output, _ = self.graft.call("adapter", "kept")
        version = json.loads(output.splitlines()[1])
        assert code == 0 and version["kept_step"] == best["step"], (version, best)
        shown = subprocess.run([str(self.graft.cli), "--server", self.graft.address, "adapter", "kept"], capture_output=True,
                               text=True, check=True).stdout
        assert f"{best['accuracy']:.4f} @ step {best['step']}" in shown and shown.count("@ step") == 1, shown
        print("an adapter's figure is that of the state that was kept")


def run(bin_folder, folder):
    (folder / "bases").mkdir()
    tiny_model.write_base(folder / "bases" / "tiny")
    write_data(folder / "data.csv")
    with Graft(bin_folder, folder / "bases", folder, "--data-roots", str(folder)) as graft:
        test = Test(graft, folder)
        for step in (test.added, test.replaced, test.replaced_while_training, test.replaced_while_queued, test.cut, test.removed,
                     test.exclusive, test.kept):
            step()
        graft.process.check()
        assert "signal" not in graft.process.text(), graft.process.text()[-2000:]


def main():
    arguments = parse_paths(__doc__, "bin")
    with tempfile.TemporaryDirectory(prefix="graft-bases-") as folder:
        run(arguments.bin, Path(folder))


if __name__ == "__main__":
    main()
