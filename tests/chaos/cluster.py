"""graft-server and graft-worker as processes that die and are started again, as an init system would do it.

Standard library only. Every wait is a poll with a deadline.
"""
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import threading
import time

from live_graft import DEADLINE, Process, poll

TOKEN = "chaos-test-token"
UNREACHABLE = 3  # Exit code of the CLI.
# Starts as often as the server asks, but takes what is in the file "arm" along only once.
WRAPPER = """#!/bin/sh
set -- "{worker}" "$@"
if [ -f "{folder}/arm" ]; then
  set -- "$@" --failpoints "$(cat "{folder}/arm")"
  rm "{folder}/arm"
fi
echo $$ > "{folder}/worker.pid.new"
mv "{folder}/worker.pid.new" "{folder}/worker.pid"
exec "$@"
"""


class Life:
    """One process from its start to its end."""

    def __init__(self, name, command, folder, environment, armed):
        self.name, self.armed, self.killed_by_test = name, armed, False
        self.process = Process(name, command, folder, environment)
        self.pid = self.process.child.pid

    def over(self):
        return self.process.child.poll() is not None

    def kill(self):
        self.killed_by_test = True
        self.process.child.kill()


def is_stopped(pid):
    """True while the process sleeps because of SIGSTOP."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


class Cluster:
    """A server, and a worker that either this starts (it outlives the server) or the server does (`embedded`)."""

    def __init__(self, bin_folder, bases, folder, embedded=False):
        folder.mkdir()
        self.bin, self.bases, self.folder, self.embedded = bin_folder.resolve(), bases, folder, embedded
        self.data = folder / "data"
        self.port = 0
        self.lock = threading.RLock()
        self.lives, self.deaths, self.alive = {}, [], True
        if embedded:
            wrapper = folder / "worker.sh"
            wrapper.write_text(WRAPPER.format(worker=self.bin / "graft-worker", folder=folder))
            wrapper.chmod(0o755)
        self._start("server")
        self.port = poll("the server's start", self._listening)
        if not embedded:
            self._start("worker")
        self.keeper = threading.Thread(target=self._keep_alive, daemon=True)
        self.keeper.start()

    def _start(self, name, failpoints=""):
        environment = {k: v for k, v in os.environ.items() if k != "GRAFT_FAILPOINTS"}
        environment["GRAFT_WORKER_TOKEN"] = TOKEN
        if name == "server":
            command = [self.bin / "graft-server", "--data", self.data, "--bases", self.bases, "--listen",
                       f"127.0.0.1:{self.port}", "--http", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--lease-seconds", "1",
                       "--workers", "1" if self.embedded else "none"]
            if self.embedded:
                command += ["--worker-binary", self.folder / "worker.sh"]
        else:
            command = [self.bin / "graft-worker", "--server", f"127.0.0.1:{self.port}", "--bases", self.bases]
        if failpoints:
            command += ["--failpoints", failpoints]
        self.lives[name] = Life(name, command, self.folder, environment, failpoints)

    def _keep_alive(self):
        while self.alive:
            with self.lock:
                for name, life in list(self.lives.items()):
                    if self.alive and life.over():
                        self.deaths.append(life)
                        self._start(name)  # Never armed: a failpoint acts in one life.
            time.sleep(0.01)

    def _listening(self):
        life = self.lives["server"]
        life.process.check()
        try:
            ports = json.loads((self.data / "ports.json").read_text())
        except (OSError, ValueError):
            return None
        return ports["grpc"] if ports.get("pid") == life.pid else None

    def worker_pid(self):
        """Of the worker that the server started last; 0 before the first."""
        try:
            return int((self.folder / "worker.pid").read_text())
        except (OSError, ValueError):
            return 0

    def kill(self, *names):
        """kill -9, all in one go; they are started again."""
        with self.lock:
            for name in names:
                if name == "worker" and self.embedded:
                    try:
                        os.kill(self.worker_pid(), signal.SIGKILL)
                    except ProcessLookupError:
                        pass  # Between two lives.
                else:
                    self.lives[name].kill()

    def restart(self, name, failpoints=""):
        """Ends this life by kill -9, which isn't counted, and returns the next one, armed with failpoints."""
        with self.lock:
            life = self.lives[name]
            life.kill()
            life.process.child.wait()
            self._start(name, failpoints)
            return self.lives[name]

    def settle(self):
        """Waits for a server that serves."""
        poll("the server's start", self._listening_now)

    def _listening_now(self):
        with self.lock:
            return not self.lives["server"].over() and self._listening()

    def graft(self, *arguments):
        """Runs the CLI; what it can't reach is asked again, as a patient script would do it."""
        def ask():
            done = subprocess.run([str(self.bin / "graft"), "--server", f"127.0.0.1:{self.port}", "--timeout", str(DEADLINE),
                                   "--json", *map(str, arguments)], capture_output=True, text=True, timeout=2 * DEADLINE,
                                  check=False)
            return done if done.returncode != UNREACHABLE else None
        done = poll(f"graft {arguments[0]}", ask)
        assert done.returncode == 0, f"graft {' '.join(map(str, arguments))} ended with {done.returncode}: {done.stderr}"
        return json.loads(done.stdout.splitlines()[-1])

    def rows(self, query, *values):
        """Reads the server's SQLite file while it is in use."""
        uri = f"file:{self.data / 'graft.sqlite'}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=30)) as connection:
            return connection.execute(query, values).fetchall()

    def logs(self):
        return {log.name: log.read_text(errors="replace") for log in sorted(self.folder.glob("*.log"))}

    def stop(self):
        with self.lock:
            self.alive = False
            for life in reversed(list(self.lives.values())):  # The worker first.
                if is_stopped(life.pid):
                    os.kill(life.pid, signal.SIGCONT)
                life.process.stop()
        self.keeper.join()
