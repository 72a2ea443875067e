"""Hostile values in every text and parameter that the document names: no fault of the server, nothing undeclared, in time."""
import http.client
import itertools
import json
import time
from urllib.parse import quote, urlsplit

DEADLINE = 30  # Seconds for any one answer.
HOSTILE = ["", "\0", "a\0b", "\x01\x1b[31m\x7f", "../../../etc/passwd", "..\\..\\x", "/etc/passwd", "file:///etc/passwd", ".", "..",
           "%00", "%2e%2e%2f", "' OR 1=1; DROP TABLE jobs; --", "\"><script>alert(1)</script>", "${jndi:ldap://x}", "{adapter}", "{{7*7}}",
           "NaN", "Infinity", "-1", "9" * 400, "1e999", "null", "true", "\u202eabc", "\ufeff", "\U0001f600" * 50,
           "e\u0301" * 100, "x" * 5000, "x@y@z", "live@", "@", "sha256:", "graft://", "graft://datasets/x", "http://127.0.0.1/", "jobs/",
           "\r\nX-Injected: 1", "\n"]
OTHERS = [None, True, 0, -1, 2**31, 2**63, 2**64 - 1, 2**64, 10**400, 1e308, -1e308, 0.5, [], {}, [[]], [None], {"": None}]
# Bodies as they stand on the wire, whatever is asked for.
BODIES = [b"", b"null", b"[]", b"1", b'"x"', b"{", b"}", b"{}", b'{"a":1,"a":2}', b"[" * 10000, b'{"a":' * 5000, b'{"model": NaN}',
          b'{"model": Infinity}', b'{"model": "\\ud800"}', b'{"model": "\xff\xfe"}', b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{}",
          b'{"model": "a\0b"}', b'{"model": 1e999}', b'{"model": ' + b"9" * 5000 + b"}", b'{"__proto__": {}}', b"{} {}", b"{}x",
          b'{"model": "' + b"x" * 100000 + b'"}']
QUERIES = ["?=&&==", "?x=%", "?x=%zz", "?x=%ff", "?x=%00", "?a=1&a=2", "?" + "&".join(f"a{i}=1" for i in range(80)), "?" + "x" * 9000]
# Whatever the operation is, what isn't HTTP as graft speaks it is refused before it is one.
OF_EVERY_REQUEST = {400, 403, 404, 405, 408, 413, 414, 415, 417, 431, 505}


class Asker:
    def __init__(self, url):
        self.address = urlsplit(url).netloc
        self.count = 0
        self.faults = []
        self.connection = http.client.HTTPConnection(self.address, timeout=DEADLINE)

    def check(self, operation, what, *request):
        """Asks; what is wrong with the answer is kept."""
        try:
            check_answer(operation, self.ask(*request))
        except (AssertionError, OSError, http.client.HTTPException) as error:
            self.connection.close()
            self.faults.append(f"{what}: {type(error).__name__} {error}"[:900])

    def ask(self, method, target, body=None, content_type="application/json"):
        """(status, headers, bytes). On the last connection, unless the server closed it behind its answer."""
        start = time.monotonic()
        self.connection.putrequest(method, target, skip_accept_encoding=True)
        if body is not None:
            self.connection.putheader("Content-Type", content_type)
            self.connection.putheader("Content-Length", str(len(body)))
        self.connection.endheaders(body)
        answer = self.connection.getresponse()
        read = answer.read()
        assert time.monotonic() - start < DEADLINE, "it took too long"
        self.count += 1
        return answer.status, answer.headers, read


def check_answer(operation, answer):
    status, headers, body = answer
    what = f"{status} {body[:400]!r}"
    assert status < 500 or (status == 503 and headers["Retry-After"]) or status == 505, what
    assert str(status) in operation["responses"] or status in OF_EVERY_REQUEST, what
    assert "X-Injected" not in headers and headers["X-Request-Id"], what
    if status >= 400:
        error = json.loads(body)["error"]
        assert headers["Content-Type"] == "application/json" and error["message"] and error["code"] and "param" in error, what


def resolve(document, schema):
    while "$ref" in schema:
        target = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def places(document, schema, depth=0):
    """(path, kind) of every field of a body."""
    schema = resolve(document, schema)
    for part in schema.get("allOf", []) + schema.get("anyOf", []) + schema.get("oneOf", []):
        yield from places(document, part, depth)
    if depth > 6:
        return
    for name, inner in schema.get("properties", {}).items():
        inner = resolve(document, inner)
        yield (name,), inner
        for path, kind in places(document, inner, depth + 1):
            yield (name, *path), kind
    if "items" in schema:
        yield (0,), resolve(document, schema["items"])
        for path, kind in places(document, schema["items"], depth + 1):
            yield (0, *path), kind


def put(body, path, value):
    """`body` with the value at the path; what stands on the way is made."""
    if not path:
        return value
    if isinstance(path[0], int):
        held = list(body) if isinstance(body, list) and body else [None]
        held[0] = put(held[0], path[1:], value)
        return held
    held = dict(body) if isinstance(body, dict) else {}
    held[path[0]] = put(held.get(path[0]), path[1:], value)
    return held


def sound_bodies(names):
    """A body of each operation that is fine, so that a hostile value is what is wrong with it."""
    message = [{"role": "user", "content": "x"}]
    spec = {"base": "minilm", "adapter": "other", "method": {"lora": {"rank": 2}}, "dataset": {"train": names["uri"]}}
    return {
        "createChatCompletion": {"model": "smollm2", "messages": message, "max_completion_tokens": 1},
        "createCompletion": {"model": "smollm2", "prompt": "x", "max_tokens": 1},
        "createEmbeddings": {"model": "minilm", "input": "x"}, "classify": {"model": names["adapter"], "input": "x"},
        "score": {"model": "smollm2", "inputs": [{"text": "x y"}]},
        "createFineTuningJob": {"model": "minilm", "training_file": names["file"], "suffix": "other", "graft": {"validate_only": True}},
        "createJob": {"spec": spec, "validate_only": True}, "estimateJob": {"spec": spec},
        "setAlias": {"version": "latest"}, "evaluateVersion": {"dataset": {"train": names["uri"]}},
        "checkDataset": {"dataset": {"train": names["uri"]}}}


def check_hostile(document, task):
    asker, start = Asker(task["url"]), time.monotonic()
    names = {**task["names"], "model": "smollm2", "base": "minilm", "alias": "live", "version": "1"}
    sound = sound_bodies(names)
    for path, item in document["paths"].items():
        shared = item.get("parameters", [])
        for method, operation in item.items():
            if method in ("parameters", "delete"):  # What is there must stay.
                continue
            parameters = [resolve(document, one) for one in shared + operation.get("parameters", [])]
            check_one(asker, document, task, (method.upper(), path, operation), parameters, names, sound)
    print(f"{asker.count} hostile requests took {time.monotonic() - start:.0f} s")
    assert not asker.faults, f"{len(asker.faults)} faults:\n" + "\n".join(asker.faults[:40])


def form(fields):
    """A form's bytes: (name, file name or None, value) each, as they are."""
    parts = [b'--edge\r\nContent-Disposition: form-data; name="' + name + b'"' +
             (b"" if file_name is None else b'; filename="' + file_name + b'"') + b"\r\n\r\n" + value + b"\r\n"
             for name, file_name, value in fields]
    return b"".join(parts) + b"--edge--\r\n"


def check_forms(asker, operation):
    purpose, file = (b"purpose", None, b"fine-tune"), (b"file", b"x.csv", b"text,label\n")
    whole = form([purpose, file])
    bodies = [b"", b"--edge", b"--edge--", whole[:-6], whole[:40], whole.replace(b"\r\n", b"\n"), whole + b"x", b"x" * 9000,
              form([file]), form([purpose]), form([file, file, purpose]), form([purpose, purpose, file]), form([]),
              form([(b"file", b"x.csv", b""), purpose]), form([(b"a%d" % i, None, b"x") for i in range(40)]),
              form([(b"file", None, b"x"), purpose]), form([(b"file", b"\xff\xfe", b"x"), purpose]), form([(b"\xff", None, b"x"), file])]
    for value in HOSTILE:
        text = value.encode()
        bodies += [form([(b"file", text, b"x"), purpose]), form([(text, None, b"x"), file]), form([(b"purpose", None, text), file]),
                   form([(text, b"x.csv", b"x"), purpose])]
    for body in bodies:
        asker.check(operation, f"a form {body[:120]!r}", "POST", "/v1/files", body, "multipart/form-data; boundary=edge")
    for kind in ("", "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "x" * 99,
                 'multipart/form-data; boundary="edge', "application/json", "text/plain; boundary=edge"):
        asker.check(operation, f"a form as {kind}", "POST", "/v1/files", whole, kind)


def check_one(asker, document, task, route, parameters, names, sound):
    method, path, operation = route
    good = path.format(**names)
    body = sound.get(operation["operationId"], {}) if method in ("POST", "PUT") else None
    if operation["operationId"] == "uploadFile":
        check_forms(asker, operation)
        return
    encoded = None if body is None else json.dumps(body).encode()
    # The short form takes some of them, others at each place.
    turns, every = itertools.count(), 1 if task["long"] else 17

    def ask(target, data, what):
        asker.check(operation, f"{method} {target[:200]} {what}", method, target, data)

    for parameter, value in itertools.product(parameters, HOSTILE):
        name = parameter["name"]
        if next(turns) % every == 0:
            if parameter["in"] == "path" and value:
                ask(path.format(**{**names, name: quote(value, safe="")}), encoded, "")
            elif parameter["in"] == "query":
                ask(f"{good}?{quote(name, safe='')}={quote(value, safe='')}", encoded, "")
    for query in QUERIES:
        ask(good + query, encoded, "")
    if body is None:
        ask(good, b"{}", "{}")
        return
    for raw in BODIES:
        ask(good, raw, repr(raw[:80]))
    content = operation["requestBody"]["content"]
    if "application/json" not in content:
        return
    schema = content["application/json"]["schema"]
    for place in dict(places(document, schema)):
        for value in HOSTILE + OTHERS:
            if next(turns) % every == 0:
                data = put(body, place, value)
                ask(good, json.dumps(data, allow_nan=True).encode(), f"{place} = {repr(value)[:80]}")
