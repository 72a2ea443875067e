#!/usr/bin/env python3
"""Nothing is lost: server, worker or both die by kill -9 at every named failpoint and at random moments of a job.

Every job must end SUCCEEDED with exactly one result and its last two checkpoints as versions, whose hashes are the undisturbed
run's, and nothing may be left behind. Processes that died are started again at once. Most rows run a server and a worker that outlive each other; some run a server
with a worker of its own. The short form meets each failpoint once; --long meets each with every victim at several passes, and
20 random moments. The seed of the moments is printed; --seed repeats them.
"""
import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "chaos"), str(TESTS / "support"), str(TESTS / "integration")]
import tiny_llama  # noqa: E402
import tiny_model  # noqa: E402
from cluster import Cluster, is_stopped  # noqa: E402
from live_graft import poll  # noqa: E402

STEPS = 100
KEPT = [98, 100]  # An epoch has 7 steps.
BOTH = ("server", "worker")
LOST = {"WORKER_DIED", "LEASE_EXPIRED", "RETRY"}  # How an attempt may end that isn't the job's last.
# Passed once by each job; all others, but those of the start, several times.
ONCE = {"server.after_job_created", "server.after_dataset_stored", "server.after_lease_granted", "server.before_complete",
        "server.after_complete", "worker.after_lease_acquired", "worker.before_artifact_stored",
        "worker.after_artifact_stored", "worker.before_complete", "worker.before_tokenize"}
# Where the short form meets what is passed often: in the middle of things.
MIDDLE = {"file.before_rename": 4, "file.after_rename": 5, "store.before_commit": 4, "store.after_commit": 3,
          "server.before_checkpoint_kept": 2, "server.after_checkpoint_kept": 2, "worker.before_kept_stored": 2,
          "worker.after_kept_stored": 2, "worker.after_step": STEPS // 2,
          # Those to resume from wait for the kept ones: on a busy machine a job stores few.
          "worker.before_checkpoint_stored": 2, "worker.after_checkpoint_stored": 2}


# What a language model's jobs meet too: where its data is read, tokenized, trained on and stored.
LANGUAGE_ROWS = {"server.after_dataset_stored", "worker.before_tokenize", "worker.after_step", "worker.after_artifact_stored"}


@dataclasses.dataclass
class Row:
    """Who dies when `owner` passes `failpoint` for the `count`-th time."""
    failpoint: str
    owner: str
    count: int
    victims: tuple

    def __str__(self):
        return f"{self.failpoint}@{self.count} of the {self.owner}"

    def jobs(self):
        return self.count if self.failpoint in ONCE else 1

    def costs_an_attempt(self):
        """True if the job can't have ended in the attempt that was disturbed."""
        if self.failpoint == "server.after_lease_granted":
            return True  # The worker never hears of its lease.
        if self.failpoint == "server.before_complete":
            return self.victims == BOTH  # The worker says it again, or the server has heard it.
        return self.failpoint.startswith("worker.") and "worker" in self.victims


def owners(failpoint):
    """Who passes a failpoint: files are written by the server alone."""
    return ("worker",) if failpoint.startswith("worker.") else ("server",)


def short_rows(failpoints):
    rows = []
    for i, failpoint in enumerate(failpoints):
        for owner in owners(failpoint):
            count = MIDDLE.get(failpoint, 1) if owner == "server" or failpoint.startswith("worker.") else 1
            rows.append(Row(failpoint, owner, count, (owner,)))
        if i % 3 == 0:
            other = "server" if rows[-1].owner == "worker" else "worker"
            rows.append(dataclasses.replace(rows[-1], victims=BOTH if i % 2 == 0 else (other,)))
    rows.append(Row("file.before_rename", "server", 1, ("server",)))  # While it starts.
    return rows


def long_rows(failpoints):
    rows = []
    for failpoint in failpoints:
        for owner in owners(failpoint):
            counts = [1, 2, 3]
            if failpoint.startswith("file."):
                counts = [1, 2, 3, 4, 5, 6]
            if failpoint.startswith("store."):
                counts = list(range(1, 9))
            if MIDDLE.get(failpoint, 1) not in counts:
                counts = counts + [MIDDLE[failpoint]] if owner in failpoint else counts
            rows += [Row(failpoint, owner, count, victims) for count in counts for victims in (("server",), ("worker",), BOTH)]
    return rows


def write_data(path):
    generator = random.Random(4)
    lines = ["text,label"]
    for i in range(64):
        words = [f"w{generator.randrange(20)}" for _ in range(10)] + ["w3" if i % 2 else "w7"]
        lines.append(" ".join(words) + f",{'ab'[i % 2]}")
    path.write_text("\n".join(lines) + "\n")


def write_conversations(path):
    """For a language model: answers that the questions tell."""
    generator = random.Random(5)
    with open(path, "w", encoding="utf-8") as file:
        for _ in range(64):
            word = "".join(generator.choice("abcd") for _ in range(4))
            file.write(json.dumps({"messages": [{"role": "user", "content": f"say {word}"},
                                                {"role": "assistant", "content": word}]}) + "\n")


def files_of(folder):
    """All files below it; what vanishes meanwhile is none."""
    return [Path(parent) / name for parent, _, names in os.walk(folder) for name in names]


def torn_files(data):
    """What a process was writing when it died, or is writing now."""
    return [path for path in files_of(data) if ".tmp" in str(path.relative_to(data))]


def sha256_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Chaos:
    """Jobs on one cluster, each of them disturbed, and what must hold after each."""

    def __init__(self, cluster, data, prefix, base="tiny", flags=()):
        self.cluster, self.prefix, self.number, self.reference, self.kept = cluster, prefix, 0, None, None
        self.base, self.flags, self.is_unanswered = base, flags, False
        self.data = cluster.graft("upload", data)["uri"]

    def submit(self, seed=42):
        """Returns the job and its adapter."""
        self.number += 1
        adapter = f"{self.prefix}-{self.number}"
        job = self.cluster.graft(
            "submit", "--request-id", adapter, "--base", self.base, "--adapter", adapter, "--train", self.data, *self.flags,
            "--validation-fraction", "0.2", "--method", "lora", "--set", "rank=4", "--set", "dropout=0.1", "--max-steps", STEPS,
            "--batch-size", "4", "--lr", "5e-3", "--precision", "FP32", "--promote", "--hp", "checkpoint_seconds=0", "--hp",
            "keep_best=true", "--hp", f"keep_checkpoints={len(KEPT)}", "--hp", "warmup_ratio=0.1", "--hp",
            "gradient_accumulation_steps=2", "--hp", f"seed={seed}")
        return job["name"].split("/")[1], adapter

    def ended(self, job):
        row = self.cluster.graft("job", job)
        return row if row["state"] in ("SUCCEEDED", "FAILED", "CANCELLED") else None

    def run(self, what, jobs=1, seed=42, compare=True):
        """Submits jobs, waits for their ends and checks all that can be checked at once. Returns them."""
        rows = []
        for job, adapter in [self.submit(seed) for _ in range(jobs)]:
            row = poll(f"{what}: the end of job {job}", lambda j=job: self.ended(j))
            assert row["state"] == "SUCCEEDED", f"{what}: {json.dumps(row)}"
            kept = self.check_rows(what, row, job, adapter)
            if self.reference and compare:
                assert kept == self.kept, f"{what}: kept {kept}, undisturbed it is {self.kept}"
                assert row["adapter_version_sha256"] == self.reference, \
                    f"{what}: the artifact is {row['adapter_version_sha256']}, undisturbed it is {self.reference}: {row}"
            elif compare:
                self.kept = kept
            rows.append(row)
        return rows

    def check_rows(self, what, row, job, adapter):
        """One job, one result, made by the newest token; its attempts' numbers and ends. Returns its kept checkpoints' hashes."""
        cluster = self.cluster
        assert cluster.rows("SELECT id FROM jobs WHERE adapter = ?", adapter) == [(job,)], f"{what}: not one job of {adapter}"
        *kept, result = [json.loads(doc) for doc, in cluster.rows(
            "SELECT doc FROM versions WHERE adapter = ? ORDER BY number", adapter)]
        assert [v.get("checkpoint_step") for v in kept] == KEPT and "checkpoint_step" not in result, f"{what}: {kept} {result}"
        assert result["sha256"] == row["adapter_version_sha256"] and result["job_id"] == job, f"{what}: {result}"
        token = json.loads(cluster.rows("SELECT doc FROM jobs WHERE id = ?", job)[0][0])["lease"]["token"]
        assert result["artifact_prefix"] == f"tenants/default/attempts/{job}/{token}/artifact/", f"{what}: {result}"
        attempts = row["attempts"]
        assert [a["number"] for a in attempts] == list(range(1, len(attempts) + 1)) and token >= len(attempts), \
            f"{what}: token {token}, {attempts}"
        assert attempts[-1]["end_reason"] == "COMPLETED", f"{what}: {attempts}"
        assert {a["end_reason"] for a in attempts[:-1]} <= LOST, f"{what}: {attempts}"
        starts = [int(a.get("first_step", 0)) for a in attempts]
        assert starts == sorted(starts) and starts[-1] <= STEPS, f"{what}: a checkpoint was lost: {attempts}"
        made = [doc for doc, in cluster.rows(
            "SELECT e.doc FROM events e JOIN jobs j ON j.row = e.job WHERE j.id = ? ORDER BY e.number", job)]
        made = [event for event in map(json.loads, made) if event.get("sha256")]
        assert len([event for event in made if "checkpoint_step" not in event]) == 1, f"{what}: {made}"
        steps = [event["checkpoint_step"] for event in made if "checkpoint_step" in event]
        assert steps == sorted(set(steps)) and steps[-len(KEPT):] == KEPT, f"{what}: kept {steps}"
        return [v["sha256"] for v in kept]

    def check_tidy(self, what):
        """A server that starts again has nothing to be ashamed of: no torn file, no object that no row points at."""
        cluster = self.cluster
        assert cluster.rows("PRAGMA integrity_check") == [("ok",)], what
        assert cluster.rows("PRAGMA foreign_key_check") == [], what
        old = time.time() - 7200
        for path in torn_files(cluster.data):  # The store leaves what is younger than an hour: another server may write it.
            with contextlib.suppress(FileNotFoundError):
                os.utime(path, (old, old))
        cluster.restart("server")
        cluster.settle()
        attempts = cluster.data / "objects" / "tenants" / "default" / "attempts"
        wanted = {doc[0] for doc in cluster.rows("SELECT json_extract(doc, '$.artifact_prefix') FROM versions")}

        def left():
            objects = {str(path.relative_to(cluster.data / "objects")) for path in files_of(attempts)}
            return {path for path in objects if path.rpartition("/")[0] + "/" not in wanted}
        try:
            poll("collection", lambda: not left(), deadline=30)
        except AssertionError:
            raise AssertionError(f"{what}: no row points at {sorted(left())[:10]}") from None
        torn = [path for path in torn_files(cluster.data) if path.exists() and path.stat().st_mtime <= old + 1]
        assert not torn, f"{what}: half-written files were left: {torn}"
        for prefix in wanted:
            folder = cluster.data / "objects" / prefix
            files = json.loads((folder / "graft.json").read_text())["files"]
            for name, sha256 in files.items():
                assert sha256_of(folder / name) == sha256, f"{what}: {folder / name} isn't what its graft.json says"

    def tell(self, what, victims, rows, start):
        def ends(row):
            return " ".join(a["end_reason"] + (f"(from {a['first_step']})" if "first_step" in a else "")
                            for a in row["attempts"])
        shown = [ends(row) for row in rows]
        told = shown[0] if len(set(shown)) == 1 else "; ".join(shown)
        print(f"{what:52} {'+'.join(victims) or 'nobody':14} {len(rows)} SUCCEEDED, same hash: {told}  "
              f"{time.monotonic() - start:.1f} s", flush=True)

    def undisturbed(self):
        start = time.monotonic()
        row, = rows = self.run("undisturbed")
        if self.reference is None:
            self.reference = row["adapter_version_sha256"]
        self.tell(f"undisturbed{' (embedded worker)' if self.cluster.embedded else ''}", (), rows, start)
        return time.monotonic() - start

    def at_failpoint(self, row):
        if self.is_unanswered:
            # The worker repeats its completion until it is answered, and would meet the next failpoint with it. It takes no
            # job before.
            self.run("behind an unanswered completion")
        self.is_unanswered = row.failpoint == "server.after_complete"
        cluster, start = self.cluster, time.monotonic()
        alone = row.victims == (row.owner,)
        deaths = len(cluster.deaths)
        life = cluster.restart(row.owner, f"{row.failpoint}={'crash' if alone else 'stop'}@{row.count}")
        over, reached = threading.Event(), threading.Event()

        def wait_and_kill():
            while not over.is_set() and not is_stopped(life.pid):
                time.sleep(0.005)
            if over.is_set():
                return
            reached.set()
            cluster.kill(*row.victims)
            if row.owner not in row.victims:
                os.kill(life.pid, signal.SIGCONT)

        watcher = threading.Thread(target=wait_and_kill, daemon=True)
        if not alone:
            watcher.start()
        try:
            jobs = self.run(str(row), row.jobs())
        finally:
            over.set()
        if not alone:
            watcher.join()
        died = [(d.name, d.process.child.returncode, d.killed_by_test) for d in cluster.deaths[deaths:]]
        assert alone or reached.is_set(), f"{row}: was never reached"
        assert sorted(died) == sorted((victim, -signal.SIGKILL, not alone) for victim in row.victims), f"{row}: died {died}"
        lost = sum(len(job["attempts"]) - 1 for job in jobs)
        assert lost or not row.costs_an_attempt(), f"{row}: no attempt was lost: {jobs}"
        if row.failpoint == "worker.after_step" and row.count > STEPS // 4 and "worker" in row.victims:
            assert int(jobs[0]["attempts"][-1].get("first_step", 0)) > 0, f"{row}: began from nothing: {jobs}"
        self.check_tidy(str(row))
        self.tell(str(row), row.victims, jobs, start)

    def at_moment(self, generator, seconds):
        cluster, start = self.cluster, time.monotonic()
        victims = generator.choice([("server",), ("worker",), BOTH])
        moment = generator.uniform(0, seconds)
        what = f"random moment, {moment:.3f} s{' (embedded worker)' if cluster.embedded else ''}"
        timer = threading.Timer(moment, cluster.kill, victims)
        timer.start()
        jobs = self.run(what)
        timer.join()
        self.check_tidy(what)
        self.tell(what, victims, jobs, start)

    def at_supervised(self, failpoint, count):
        """The server's own worker dies; only its next life is armed, as the wrapper sees to it."""
        cluster, start = self.cluster, time.monotonic()
        (cluster.folder / "arm").write_text(f"{failpoint}=crash@{count}")
        before = cluster.worker_pid()
        cluster.kill("worker")
        poll("the worker's next life", lambda: cluster.worker_pid() not in (0, before))
        log, killed = cluster.lives["server"].process, "was killed by signal 9"
        poll("the worker's death in the log", lambda: killed in log.text())
        deaths = log.text().count(killed)
        what = f"{failpoint}@{count} of the embedded worker"
        jobs = self.run(what)
        assert log.text().count(killed) == deaths + 1, f"{what}: the worker didn't die once"
        assert [a["end_reason"] for a in jobs[0]["attempts"]] == ["WORKER_DIED", "COMPLETED"], f"{what}: {jobs}"
        self.check_tidy(what)
        self.tell(what, ("worker",), jobs, start)


def run_all(options, folder, clusters):
    bases, data = folder / "bases", folder / "train.csv"
    tiny_model.write_base(bases / "tiny")
    tiny_llama.write_base(bases / "llama")
    write_data(data)
    write_conversations(folder / "chat.jsonl")
    failpoints = subprocess.run([str(options.bin / "graft-server"), "--list-failpoints"], capture_output=True, text=True,
                                check=True).stdout.split()
    assert failpoints
    rows = long_rows(failpoints) if options.long else short_rows(failpoints)
    assert {row.failpoint for row in rows} == set(failpoints)
    if options.only:
        rows = [row for row in rows if options.only in str(row)]
    generator = random.Random(options.seed)
    moments = options.moments if options.moments is not None else 20 if options.long else 3

    clusters.append(Cluster(options.bin, bases, folder / "apart"))
    apart = Chaos(clusters[-1], data, "apart")
    seconds = apart.undisturbed()
    other, = apart.run("another seed", seed=43, compare=False)
    assert other["adapter_version_sha256"] != apart.reference, "the hash doesn't tell one artifact from another"
    for row in rows:
        apart.at_failpoint(row)
    for _ in range(moments):
        apart.at_moment(generator, seconds)
    # A language model's conversations: the same template, tokens and clock in every attempt.
    language = Chaos(clusters[-1], folder / "chat.jsonl", "language", base="llama", flags=("--messages-column", "messages"))
    seconds = language.undisturbed()
    # Samples change nothing of the artifact, wherever they are cut off.
    language.flags += ("--sample", "say abcd", "--sample", "say dcba")
    for row in [row for row in rows if row.failpoint in LANGUAGE_ROWS and row.victims == (row.owner,)]:
        language.at_failpoint(row)
    for _ in range(moments):
        language.at_moment(generator, seconds)
    clusters[-1].stop()

    clusters.append(Cluster(options.bin, bases, folder / "embedded", embedded=True))
    embedded = Chaos(clusters[-1], data, "embedded")
    embedded.reference, embedded.kept = apart.reference, apart.kept
    seconds = embedded.undisturbed()
    for failpoint in [name for name in failpoints if name.startswith("worker.")] if options.long else ["worker.after_step"]:
        embedded.at_supervised(failpoint, MIDDLE.get(failpoint, 1))
    for _ in range(moments if options.long else 2):
        embedded.at_moment(generator, seconds)
    clusters[-1].stop()
    print(f"{apart.number + language.number + embedded.number} jobs: all ended SUCCEEDED, the disturbed ones with the undisturbed hash "
          f"{apart.reference}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, required=True, help="folder with graft-server, graft-worker and graft")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--moments", type=int, help="random moments; 20 with --long, else 3")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), help="of the random moments")
    parser.add_argument("--only", help="only failpoints whose row holds this text")
    parser.add_argument("--keep", action="store_true", help="keep the folder with data and logs")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    start = time.monotonic()
    print(f"seed {options.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="graft-chaos-"))
    clusters = []
    try:
        run_all(options, folder, clusters)
        print(f"{time.monotonic() - start:.0f} s")
    except BaseException:
        for cluster in clusters:
            for name, text in cluster.logs().items():
                print(f"--- {cluster.folder.name}/{name}\n{text[-6000:]}", file=sys.stderr)
        print(f"failed; --seed {options.seed} draws the same moments", file=sys.stderr)
        raise
    finally:
        for cluster in clusters:
            cluster.stop()
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
