#!/usr/bin/env python3
"""A server whose HTTP port is abused for a while still serves, and is what it was once that ends.

Against one real server with its worker, all at once: thousands of half-open connections, which come again when they are closed;
clients that write a byte at a time or read as slowly; readers of streams that vanish at a random moment, with a reset or without a
word; answers that nobody waits for; random bytes. Meanwhile honest clients of HTTP and gRPC must be answered.

What must hold: every process lives and logs no error, all honest calls are answered, no call goes on for a client that left, a full
set of generations runs afterwards, and the server's memory stays: after the first minute within 2 %, in the short form below what it
and its connections may take. A server that may open few files answers too. The seed of the dice is printed; --seed repeats them.
scripts/test-long.sh runs it for ten minutes.
"""
import argparse
import asyncio
import concurrent.futures
import contextlib
import http.client
import json
import random
import re
import resource
import shutil
import socket
import statistics
import struct
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from live_graft import Graft, poll  # noqa: E402

BASE = "base-llama"
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "decoders"
HALF_OPEN = 10_000
FEW_FILES = 400      # What one server may open.
IDLE_KIB = 64 << 10  # What a server takes that nobody asks anything.
CONNECTION_KIB = 32
OTHER_FILES = 500    # Of the test, besides half-open connections.
PATIENCE = 60        # Seconds that an honest call may take; the machine may be busy with other things.
REOPENED_A_SECOND = 400
IP_BIND_ADDRESS_NO_PORT = 24
STALE = (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected)


def chat(stream, tokens=40):
    body = json.dumps({"model": BASE, "messages": [{"role": "user", "content": "the cat sat"}], "stream": stream,
                       "max_tokens": tokens, "min_tokens": tokens, "temperature": 1}).encode()
    return (b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)) + body


def chunked(*chunks):
    """An upload whose body comes in chunks; without any it is empty."""
    head = (b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n")
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


class Abuse:
    """The bad clients, on an event loop of their own thread."""

    def __init__(self, port, half_open, seed):
        self.port, self.wanted, self.dice = port, half_open, random.Random(seed)
        self.loop, self.is_over = asyncio.new_event_loop(), False
        self.held, self.most_held, self.counts = set(), 0, {}
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def stop(self):
        self.is_over = True
        self.thread.join(60)
        assert not self.thread.is_alive(), "the abuse doesn't end"

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._all())

    async def _all(self):
        kinds = [(self._vanish, 8), (self._leave, 4), (self._write_slowly, 8), (self._read_slowly, 4), (self._garbage, 4)]
        await asyncio.gather(self._hold_open(), *(self._again(kind) for kind, many in kinds for _ in range(many)))
        for held in list(self.held):
            self._drop(held)

    async def _again(self, kind):
        while not self.is_over:
            with contextlib.suppress(OSError):
                with await self._connect() as client:
                    await kind(client)
                    self._count(kind.__name__.strip("_"))
            await asyncio.sleep(self.dice.random() * 0.1)

    def _count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    async def _connect(self, small=False):
        client = socket.socket()
        client.setblocking(False)
        # From many addresses: one has too few ports for so many connections a minute.
        client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        if small:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.bind((f"127.0.0.{self.dice.randrange(2, 250)}", 0))
        try:
            await asyncio.wait_for(self.loop.sock_connect(client, ("127.0.0.1", self.port)), 20)
        except BaseException:
            client.close()
            raise
        return client

    # Half-open connections.

    async def _hold_open(self):
        opened = 0
        while not self.is_over:
            # All of them at first, then as many as were closed, so that honest clients have a chance against them.
            batch = 200 if opened < self.wanted else REOPENED_A_SECOND // 10
            batch = min(batch, self.wanted - len(self.held))
            done = await asyncio.gather(*(self._open_half() for _ in range(batch)), return_exceptions=True)
            opened += sum(1 for one in done if one is None)
            self.most_held = max(self.most_held, len(self.held))
            await asyncio.sleep(0.02 if opened < self.wanted else 0.1)

    async def _open_half(self):
        client = await self._connect()
        self.held.add(client)
        self._count("half_open")
        self.loop.add_reader(client, self._hear, client)
        begun = self.dice.choice((b"", b"GET /v1/mod", chat(True)[:90], chat(False)[:-9], b"GET / HTTP/1.1\r\nHost: localhost\r\n"))
        try:
            client.send(begun)
        except OSError:
            self._drop(client)

    def _hear(self, client):
        try:
            heard = client.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        if not heard:
            self._drop(client)

    def _drop(self, client):
        self.loop.remove_reader(client)
        self.held.discard(client)
        client.close()

    # The others.

    async def _send(self, client, bytes_):
        await asyncio.wait_for(self.loop.sock_sendall(client, bytes_), 20)

    async def _receive(self, client, most, seconds=60.0):
        try:
            return await asyncio.wait_for(self.loop.sock_recv(client, most), seconds)
        except asyncio.TimeoutError:
            return None

    def _cut(self, client):
        """Half of those that leave do it with a reset."""
        if self.dice.random() < 0.5:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def _vanish(self, client):
        """Reads a stream up to a random moment."""
        await self._send(client, chat(True, self.dice.choice((5, 40, 100))))
        end = time.monotonic() + self.dice.random() ** 3
        while time.monotonic() < end and await self._receive(client, self.dice.randrange(1, 4096), 0.05) != b"":
            pass
        self._cut(client)

    async def _leave(self, client):
        """Asks for an answer and doesn't wait, or has sent more by then."""
        await self._send(client, chat(False) + (b"GET / HT" if self.dice.random() < 0.3 else b""))
        await asyncio.sleep(self.dice.random() * 0.05)
        self._cut(client)

    async def _write_slowly(self, client):
        request = self.dice.choice((chat(True, 5), chunked(), chunked(b"--x\r\n", b"Content-Disposition: form-data; ")))
        for i in range(min(len(request), self.dice.randrange(1, 2 * len(request)))):
            if self.is_over:
                return
            await self._send(client, request[i:i + 1])
            await asyncio.sleep(self.dice.choice((0, 0, 0.02)))

    async def _read_slowly(self, client):
        client.close()
        with await self._connect(small=True) as small:
            for _ in range(self.dice.randrange(1, 10)):
                await self._send(small, chat(True, 100))
            for _ in range(self.dice.randrange(1, 100)):
                if self.is_over or await self._receive(small, 16) == b"":
                    return
                await asyncio.sleep(0.02)

    async def _garbage(self, client):
        request = bytearray(self.dice.choice((chat(False, 5), chat(True, 5), chunked(b"--x--"))))
        if self.dice.random() < 0.3:
            request = bytearray(self.dice.randbytes(self.dice.randrange(1, 20_000)))
        for _ in range(self.dice.randrange(1, 9)):
            request[self.dice.randrange(len(request))] = self.dice.randrange(256)
        await self._send(client, bytes(request))
        await self._receive(client, 65536, 2)
        self._cut(client)


class Honest:
    """Clients that keep to the rules; each call must be answered."""

    def __init__(self, graft, port):
        self.graft, self.port, self.is_over = graft, port, False
        self.seconds, self.asked_again, self.lock = {}, 0, threading.Lock()
        self.pool = concurrent.futures.ThreadPoolExecutor(4)
        self.running = [self.pool.submit(self._repeat, call) for call in (self.models, self.answer, self.stream, self.grpc)]

    def stop(self):
        self.is_over = True
        for call in self.running:
            call.result()

    def _repeat(self, call):
        while not self.is_over:
            begin = time.monotonic()
            call()
            with self.lock:
                self.seconds.setdefault(call.__name__, []).append(time.monotonic() - begin)
            time.sleep(0.05)

    def _ask(self, method, path, body=None):
        """As clients do it: what was closed before it said anything is asked again, once."""
        for is_last in (False, True):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
            try:
                connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
                reply = connection.getresponse()
                text = reply.read().decode()
                assert reply.status == 200, f"{method} {path}: {reply.status} {text}"
                return text
            except STALE:
                with self.lock:
                    self.asked_again += 1
                if is_last:
                    raise
            finally:
                connection.close()
        return None

    def models(self):
        assert json.loads(self._ask("GET", "/v1/models"))["data"]

    def answer(self):
        body = chat(False, 4).partition(b"\r\n\r\n")[2]
        assert json.loads(self._ask("POST", "/v1/chat/completions", body))["choices"][0]["finish_reason"] == "length"

    def stream(self):
        body = chat(True, 20).partition(b"\r\n\r\n")[2]
        assert self._ask("POST", "/v1/chat/completions", body).endswith("data: [DONE]\n\n")

    def grpc(self):
        code, _, error = self.graft.call("generate", "--base", BASE, "--max-tokens", 4, "the cat")
        assert code == 0, error


def scrape(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as reply:
        text = reply.read().decode()
    return {name: float(value) for name, value in re.findall(r"^(\w+(?:\{[^}]*\})?) ([0-9.e+-]+)$", text, re.M)}


def resident_kib(pid):
    return int(re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def allow_files(wanted):
    """Raises the limit on open files; returns for how many half-open connections there is room."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = wanted + OTHER_FILES if hard == resource.RLIM_INFINITY else min(hard, wanted + OTHER_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limit, resource.getrlimit(resource.RLIMIT_NOFILE)[0]), hard))
    room = min(wanted, limit - OTHER_FILES)
    assert room > 100, f"{hard} open files are too few"
    if room < wanted:
        print(f"half-open connections: {room} instead of {wanted}, for more files may not be open ({hard})")
    return room


def check_memory(samples, seconds, held):
    """`samples`: (second, KiB). In the long form the end against the first minute's; in the short one, which is still warming up,
    the most that there was against what the server and its connections may take."""
    most = max(kib for _, kib in samples)
    if seconds < 180:
        allowed = IDLE_KIB + held * CONNECTION_KIB
        print(f"the server's memory: at most {most / 1024:.1f} MiB; {allowed / 1024:.1f} are allowed")
        assert most <= allowed, f"{most} KiB is more than {IDLE_KIB} and {CONNECTION_KIB} for each of {held} connections"
        return
    before = statistics.median(kib for second, kib in samples if 60 <= second < 90)
    after = statistics.median(kib for second, kib in samples if second >= seconds - 30)
    print(f"the server's memory: {before / 1024:.1f} MiB after a minute, {after / 1024:.1f} MiB at the end "
          f"({after / before - 1:+.1%}), at most {most / 1024:.1f} MiB")
    assert after <= 1.02 * before, "the memory grew by more than 2 %"


def check_full_set(honest):
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        for done in [pool.submit(honest.answer) for _ in range(64)]:
            done.result()


def abuse(graft, options):
    ports = json.loads((graft.data / "ports.json").read_text())
    pid = graft.process.child.pid
    worker_port = poll("the worker's metrics", lambda: json.loads((graft.data / "ports.json").read_text())["worker_metrics"])[0]
    honest = Honest(graft, ports["http"])
    bad = Abuse(ports["http"], allow_files(HALF_OPEN), options.seed)
    poll("the crowd", lambda: bad.counts.get("half_open", 0) >= bad.wanted)
    begin, samples = time.monotonic(), []
    while time.monotonic() - begin < options.seconds:
        time.sleep(0.25)
        graft.process.check()
        samples.append((time.monotonic() - begin, resident_kib(pid)))
        for call in honest.running:
            if call.done():
                call.result()
    bad.stop()
    honest.stop()
    print(f"half-open at once: {bad.most_held}; " + ", ".join(f"{name} {count}" for name, count in sorted(bad.counts.items())))
    for name, taken in sorted(honest.seconds.items()):
        print(f"{name}: {len(taken)} answered, median {statistics.median(taken) * 1000:.0f} ms, slowest {max(taken):.2f} s")
    print(f"asked again: {honest.asked_again}")
    poll("the end of all calls", lambda: scrape(ports["metrics"])["graft_requests_running"] == 0)
    poll("the end of all generations", lambda: scrape(worker_port)["graft_generations_running"] == 0)
    check_full_set(honest)
    check_memory(samples, options.seconds, bad.most_held)
    text = graft.process.text()
    faults = [line for line in text.splitlines() if re.search(r"\[(error|critical)\]|an HTTP connection failed", line)]
    assert not faults, faults[:5]


def abuse_few_files(options, bases, folder):
    """A server that may open few files keeps some of them from the bad clients: for gRPC, its database, honest clients."""
    folder.mkdir()
    wrapper = folder / "bin"
    wrapper.mkdir()
    for program in ("graft", "graft-worker"):
        (wrapper / program).symlink_to(options.bin.resolve() / program)
    (wrapper / "graft-server").write_text(f'#!/bin/sh\nulimit -n {FEW_FILES}\nexec "{options.bin.resolve()}/graft-server" "$@"\n')
    (wrapper / "graft-server").chmod(0o755)
    with Graft(wrapper, bases, folder) as graft:
        bad = Abuse(json.loads((graft.data / "ports.json").read_text())["http"], 2 * FEW_FILES, options.seed)
        poll("the crowd", lambda: bad.counts.get("half_open", 0) > 2 * FEW_FILES)
        honest = Honest(graft, bad.port)
        poll("answers", lambda: len(honest.seconds) == 4)
        honest.stop()
        bad.stop()
    print(f"with {FEW_FILES} files, slowest: {max(max(taken) for taken in honest.seconds.values()):.2f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, required=True, help="folder with graft, graft-server and graft-worker")
    parser.add_argument("--seconds", type=int, default=12, help="how long, once all have come; 12")
    parser.add_argument("--seed", type=int, default=random.randrange(10 ** 6))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="graft-abuse-") as name:
        folder = Path(name)
        shutil.copytree(GOLDEN / BASE, folder / "bases" / BASE)
        with Graft(options.bin, folder / "bases", folder) as graft:
            abuse(graft, options)
        abuse_few_files(options, folder / "bases", folder / "few")
    print("all was answered and nothing is left behind")
    return 0


if __name__ == "__main__":
    sys.exit(main())
