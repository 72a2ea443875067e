#!/usr/bin/env python3
"""Bad input through the whole service: each row of a table is a clear error, and leaves nothing behind.

One graft-server with its worker and the CLI as its client. For each row: the exit code, the gRPC code, the reason, field and
line of the error's detail, and the words that say what to do. After each row: server and worker are the processes they were, a
good request is answered, and no job, adapter, version or file is there that wasn't before. Prints the table.
"""
import argparse
import ctypes
import ctypes.util
import dataclasses
import json
import os
import resource
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import tiny_model  # noqa: E402
from bad_input_rows import (  # noqa: E402
    JOB_FAILED, OK, Row, data_rows, import_rows, make_bases, request_rows, run_rows, spec_rows, submit, text_rows, write_csv)
from live_graft import Graft, poll  # noqa: E402

CODES = ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
         "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
         "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"]


class Checker:
    """Runs rows and compares the service before and after each."""

    def __init__(self, graft):
        self.graft, self.faults, self.count = graft, [], 0
        self.workers = graft.workers()
        assert self.workers, "the server has no worker"
        self.before = self.state()

    def state(self):
        """All that a refused call must not change."""
        jobs = self.graft.call("jobs", "--limit", "1000")[1].splitlines()
        adapters = self.graft.call("adapters")[1]
        versions = self.graft.call("adapter", "good")[1]
        return {"jobs": len(jobs), "adapters": adapters, "versions": versions, "files": self.graft.files()}

    def row(self, row, exit_code, error, job_made=False, data_kept=False):
        self.count += 1
        detail = (error.get("details") or [{}])[0]
        line = int(detail.get("line", 0))
        code = error.get("status") or CODES[error.get("code", 2)]
        texts = [error.get("message", ""), *(d.get("message", "") for d in error.get("details", []))]
        print(f"{row.name:40} {exit_code}  {code:19} {detail.get('reason', ''):22} "
              f"{detail.get('field', '')}{' line ' + str(line) if line else ''}\n{'':43}{error.get('message', '')[:400]}", flush=True)
        wrong = []

        def check(what, found, wanted):
            if found != wanted:
                wrong.append(f"{what} is {found!r}, not {wanted!r}")
        check("exit code", exit_code, row.exit)
        check("code", code, row.code)
        if row.field:
            check("field", detail.get("field", ""), row.field)
        if row.reason:
            check("reason", detail.get("reason", ""), row.reason)
        if row.line:
            check("line", line, row.line)
        if not any(row.says in text for text in texts):
            wrong.append(f"nothing says {row.says!r}")
        if len(error.get("message", "")) < 12:
            wrong.append("the message is no sentence")
        self.check_service(wrong, job_made, data_kept)
        self.faults += [f"{row.name}: {fault}" for fault in wrong]
        for fault in wrong:
            print(f"{'':43}WRONG: {fault}", flush=True)

    def check_service(self, wrong, job_made=False, data_kept=False):
        if self.graft.process.child.poll() is not None:
            raise AssertionError(f"the server ended: {self.graft.process.text()[-2000:]}")
        if self.graft.workers() != self.workers:
            wrong.append(f"the workers were {self.workers}, and are {self.graft.workers()}")
            self.workers = self.graft.workers()
        code, _, error = self.graft.call("classify", "--adapter", "good", "w1 w2")
        if code != OK:
            wrong.append(f"a good request isn't answered any more: {error}")
        after = self.state()
        if data_kept:  # The ingested form of data without a fault lies under its hash; any job may use it.
            after["files"] = frozenset(name for name in after["files"] if "/datasets/" not in name)
        expected = dict(self.before)
        if job_made:
            expected["jobs"] += 1
        for key, value in after.items():
            if value != expected[key]:
                wrong.append(f"{key} changed: {value ^ expected[key] if isinstance(value, frozenset) else value}")
        self.before = after

    def refused(self, row):
        code, output, error = self.graft.call(*row.arguments, text=row.text)
        if output.strip() and row.exit != OK:
            self.faults.append(f"{row.name}: it printed an answer: {output[:200]}")
        lines = error.strip().splitlines()
        try:
            parsed = json.loads(lines[-1])["error"] if lines else {}
        except ValueError:
            parsed = {"message": error}
        self.row(row, code, parsed)

    def long_text(self):
        """Not an error: what is beyond max_length isn't read, and the answer says so."""
        answer = self.graft.run("classify", "--adapter", "good", "w1 " * 5000)
        prediction = answer["predictions"][0]
        self.count += 1
        print(f"{'classify: a text too long':40} 0  {'OK':19} truncated, {prediction['tokens']} tokens read", flush=True)
        if not prediction.get("truncated") or prediction["tokens"] != 64:
            self.faults.append(f"a text too long: {prediction}")

    def failed_job(self, row, data_kept=False):
        """Submits; the job must end FAILED with the row's error."""
        code, output, _ = self.graft.call(*row.arguments, "--watch")
        messages = [json.loads(text) for text in output.splitlines()]
        changes = [message["state_change"] for message in messages if "state_change" in message]
        if not changes or changes[-1]["to"] != "FAILED":
            self.faults.append(f"{row.name}: the job didn't fail: {messages[-1:]}")
        self.row(dataclasses.replace(row, exit=JOB_FAILED), code, changes[-1].get("error", {}) if changes else {}, job_made=True,
                 data_kept=data_kept)


class BadInputGraft(Graft):
    """Adds what the checks look at."""

    def workers(self):
        """Process ids of the server's workers."""
        server, found = self.process.child.pid, []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            name, rest = stat[stat.index("(") + 1:stat.rindex(")")], stat[stat.rindex(")") + 2:].split()
            if name.startswith("graft-worker") and int(rest[1]) == server:
                found.append(int(entry.name))
        return sorted(found)

    def ended(self, job):
        state = self.run("job", job)["state"]
        return state if state in ("SUCCEEDED", "FAILED", "CANCELLED") else None

    def files(self):
        """Every file that holds a job's or an adapter's content, finished or not."""
        return frozenset(str(path.relative_to(self.data)) for path in (self.data / "objects").rglob("*") if path.is_file()) | \
            frozenset(str(path.relative_to(self.data)) for path in self.data.rglob("*.tmp*") if path.is_file())


def import_good(graft, folder):
    tiny_model.write_lora(folder / "good-adapter", tiny_model.lora_tensors())
    graft.run("import", folder / "good-adapter", "--base", "tiny", "--adapter", "good", "--label-name", "a", "--label-name",
              "b", "--promote")


def run_table(options, folder):
    data = folder / "data-root"
    imports = folder / "imports"
    for path in (folder / "bases", data, imports):
        path.mkdir()
    make_bases(folder / "bases")
    with BadInputGraft(options.bin, folder / "bases", folder, "--data-roots", data) as graft:
        import_good(graft, folder)
        checker = Checker(graft)
        good, spec = spec_rows(data)
        for row in spec + import_rows(imports) + request_rows() + text_rows():
            checker.refused(row)
        for row in data_rows(data, good):
            checker.refused(dataclasses.replace(row, name=row.name + " (check only)", field="spec." + row.field,
                                                arguments=[*row.arguments, "--check-only"]))
            checker.failed_job(row)
        for row in run_rows(good):
            checker.failed_job(row, data_kept=True)
        checker.long_text()
    return checker


def run_full_disk(options, folder):
    """A data folder without room: refused where nothing was accepted yet, tried again where it was."""
    for path in (folder / "data", folder / "data-root", folder / "bases"):
        path.mkdir(parents=True)
    tiny_model.write_base(folder / "bases" / "tiny")
    big = write_csv(folder / "data-root" / "big.csv", [f"w1 {'x' * 900} {i},{'ab'[i % 2]}" for i in range(2000)])
    tiny_model.write_lora(folder / "wide", tiny_model.lora_tensors(labels=9000))  # Over a MiB in its head alone.
    names = [part for i in range(9000) for part in ("--label-name", str(i))]
    with TinyDisk(folder / "data", options.no_mount) as disk, \
            BadInputGraft(options.bin, folder / "bases", folder, "--data-roots", folder / "data-root") as graft:
        import_good(graft, folder)
        disk.fill(graft)
        checker = Checker(graft)
        code = "RESOURCE_EXHAUSTED"
        checker.refused(Row(f"full disk ({disk.kind}): upload", ["upload", str(folder / "data-root" / "big.csv")], code, "space"))
        checker.refused(Row(f"full disk ({disk.kind}): import", ["import", str(folder / "wide"), "--base", "tiny", "--adapter", "x",
                                                               *names], code, "space"))
        job = graft.run(*submit("waits", big, "--batch-size", "500"))["name"].removeprefix("jobs/")
        poll("a try to validate", lambda: "can't be validated now" in graft.process.text())
        state = graft.run("job", job)["state"]
        assert state == "VALIDATING", state
        wrong = []
        checker.check_service(wrong, job_made=True)
        disk.free(graft)
        state = poll("the job, once there is room", lambda: graft.ended(job))
        print(f"full disk ({disk.kind}): a job that was accepted waited, and is {state} once there is room")
        if state != "SUCCEEDED":
            wrong.append(f"the job that waited is {state}")
        checker.faults += wrong
    return checker


class TinyDisk:
    """A file system of a few MiB where this process may mount one; else a limit on the server's files."""

    SIZE = 6 << 20

    def __init__(self, path, no_mount):
        self.path, self.libc = path, ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
        options = f"size={self.SIZE}".encode()
        self.mounted = not no_mount and self.libc.mount(b"tmpfs", bytes(path), b"tmpfs", 0, options) == 0
        self.kind = "tmpfs" if self.mounted else "limit"
        self.filler = path / "filler"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.mounted:
            self.libc.umount2(bytes(self.path), 2)

    def fill(self, graft):
        """Leaves half a MiB for the journal of the jobs."""
        if not self.mounted:
            resource.prlimit(graft.process.child.pid, resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
            return
        room = os.statvfs(self.path)
        self.filler.write_bytes(bytes(room.f_bavail * room.f_bsize - (512 << 10)))

    def free(self, graft):
        if self.mounted:
            self.filler.unlink()
        else:
            resource.prlimit(graft.process.child.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--no-mount", action="store_true", help="test a full disk with a limit on the size of files")
    parser.add_argument("--only", choices=["table", "disk"], help="run one part")
    options = parser.parse_args()
    count, faults = 0, []
    with tempfile.TemporaryDirectory(prefix="graft-bad-input-") as temp:
        for name, part in (("table", run_table), ("disk", run_full_disk)):
            if options.only in (None, name):
                folder = Path(temp).resolve() / name
                folder.mkdir()
                checker = part(options, folder)
                count += checker.count
                faults += checker.faults
    print("".join(f"FAULT {fault}\n" for fault in faults) + f"{count} rows, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
