#!/usr/bin/env python3
"""Checkpoints kept as versions, through the whole service.

A job of three epochs keeps its last two. Each must be what a job of so many epochs ends with, to the bit, and answer like it; the
first one's files must go. The same job must end with the same versions where its worker or the server dies by kill -9.
"""
import json
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "chaos"), str(TESTS / "support")]

from cluster import Cluster  # noqa: E402
from live_graft import parse_paths, poll  # noqa: E402
from tiny_model import write_base  # noqa: E402

STEPS = 12  # Of an epoch.
TEXTS = ["w1 w3 w5", "w11 w13 w15"]
# Who dies where: before, between and behind the two durable writes that keep a checkpoint, and on the way from one to the next.
DEATHS = [("worker", f"worker.after_step=crash@{STEPS + STEPS // 2}"), ("worker", "worker.before_kept_stored=crash@2"),
          ("worker", "worker.after_kept_stored=crash@2"), ("server", "server.before_checkpoint_kept=crash@2"),
          ("server", "server.after_checkpoint_kept=crash@2"), ("worker", "worker.after_kept_stored=crash@3"),
          ("worker", "worker.before_artifact_stored=crash")]


def write_data(path):
    rows = ["text,label"]
    for i in range(64):
        first = 10 * (i % 2)
        rows.append(f"w{first + i % 7} w{first + i % 5} w{first + i % 3},{'high' if first else 'low'}")
    path.write_text("\n".join(rows) + "\n")


class Test:
    def __init__(self, cluster, data):
        self.cluster, self.data = cluster, cluster.graft("upload", data)["uri"]

    def train(self, adapter, epochs, keep, *more):
        job = self.cluster.graft(
            "submit", "--request-id", adapter, "--base", "tiny", "--adapter", adapter, "--train", self.data,
            "--validation-fraction", "0.25", "--method", "lora", "--set", "dropout=0.1", "--batch-size", "4", "--lr", "5e-3",
            "--precision", "FP32", "--hp", f"epochs={epochs}", "--hp", f"keep_checkpoints={keep}", "--hp",
            "lr_schedule=CONSTANT", "--hp", "checkpoint_seconds=0", *more)["name"].split("/")[1]

        def ended():
            row = self.cluster.graft("job", job)
            return row if row["state"] in ("SUCCEEDED", "FAILED", "CANCELLED") else None
        row = poll(f"the end of {adapter}", ended)
        assert row["state"] == "SUCCEEDED", row
        return row

    def versions(self, adapter):
        """Rows of its versions by their numbers."""
        rows = [json.loads(doc) for doc, in self.cluster.rows("SELECT doc FROM versions WHERE adapter = ?", adapter)]
        return {row["number"]: row for row in rows}

    def kept_events(self, job):
        rows = self.cluster.rows("SELECT e.doc FROM events e JOIN jobs j ON j.row = e.job WHERE j.id = ? ORDER BY e.number",
                                 job["name"].split("/")[1])
        events = [json.loads(doc) for doc, in rows]
        return [event for event in events if event.get("checkpoint_step") and event.get("text")]

    def logits(self, adapter):
        answer = self.cluster.graft("classify", "--adapter", adapter, "--logits", *TEXTS)
        return [p["logits"] for p in answer["predictions"]], answer["provenance"]["adapter_version_sha256"]

    def check_kept(self, adapter, job):
        """What holds of the job's versions, whoever died; returns the hashes of all that were kept, by step."""
        versions = self.versions(adapter)
        assert {n: v.get("checkpoint_step", 0) for n, v in versions.items()} == {2: 2 * STEPS, 3: 3 * STEPS, 4: 0}, versions
        assert job["adapter_version"] == f"adapters/{adapter}/versions/4", job
        events = self.kept_events(job)
        assert [(e["checkpoint_step"], e["text"]) for e in events] == [
            (STEPS * n, f"adapters/{adapter}/versions/{n}") for n in (1, 2, 3)], events
        for event in events:
            assert event["evaluation"]["step"] == event["checkpoint_step"], event
        for n in (2, 3):
            assert versions[n]["sha256"] == events[n - 1]["sha256"], (versions, events)
        return {event["checkpoint_step"]: event["sha256"] for event in events}

    def check_files(self):
        """Each version's files lie there, and nothing else of an attempt."""
        wanted = {prefix for prefix, in self.cluster.rows("SELECT json_extract(doc, '$.artifact_prefix') FROM versions")}
        objects = self.cluster.data / "objects"

        def there():
            return {str(path.parent.relative_to(objects)) + "/" for path in (objects / "tenants/default/attempts").rglob("*")
                    if path.is_file()}
        self.cluster.restart("server")  # Which collects when it starts.
        self.cluster.settle()
        poll("collection", lambda: there() == wanted, deadline=30)


def run(bin_folder, folder, clusters):
    (folder / "bases").mkdir()
    write_base(folder / "bases" / "tiny")
    write_data(folder / "data.csv")
    cluster = Cluster(bin_folder, folder / "bases", folder / "cluster")
    clusters.append(cluster)
    test = Test(cluster, folder / "data.csv")

    job = test.train("kept", 3, 2, "--promote")
    hashes = test.check_kept("kept", job)
    assert len(set(hashes.values())) == 3, hashes
    for epochs in (1, 2, 3):
        alone = test.train(f"alone-{epochs}", epochs, 0)
        assert alone["adapter_version_sha256"] == hashes[epochs * STEPS], (epochs, hashes, alone)
        if epochs > 1:
            assert test.logits(f"kept@{epochs}") == test.logits(f"alone-{epochs}@latest"), epochs
    for name in ("kept", "kept@latest", "kept@4"):
        assert test.logits(name)[1] == job["adapter_version_sha256"], name
    files = folder / "exported"
    cluster.graft("export", "kept@2", files)
    assert json.loads((files / "graft.json").read_text())["sha256"] == hashes[2 * STEPS]
    cluster.graft("promote", "kept", "2")
    assert test.logits("kept")[1] == hashes[2 * STEPS]
    test.check_files()
    print(f"undisturbed: steps and hashes {hashes}", flush=True)

    for number, (owner, failpoint) in enumerate(DEATHS):
        deaths = len(cluster.deaths)
        cluster.restart(owner, failpoint)
        adapter = f"killed-{number}"
        killed = test.train(adapter, 3, 2)
        assert len(cluster.deaths) == deaths + 1, f"{failpoint}: was never reached"
        assert test.check_kept(adapter, killed) == hashes, f"{failpoint}: {killed}"
        assert killed["adapter_version_sha256"] == job["adapter_version_sha256"], f"{failpoint}: {killed}"
        print(f"{failpoint}: {[a['end_reason'] for a in killed['attempts']]}", flush=True)
    test.check_files()


def main():
    arguments = parse_paths(__doc__, "bin")
    clusters = []
    with tempfile.TemporaryDirectory(prefix="graft-kept-") as folder:
        try:
            run(arguments.bin, Path(folder), clusters)
        except BaseException:
            for cluster in clusters:
                for name, text in cluster.logs().items():
                    print(f"--- {name}\n{text[-6000:]}", file=sys.stderr)
            raise
        finally:
            for cluster in clusters:
                cluster.stop()


if __name__ == "__main__":
    main()
