"""What a collector received, read by opentelemetry-proto's own messages: prints the spans of all bodies as one JSON list.

Usage: traces_oracle.py TASKS    (a list of bodies; a field that the messages lack, or a value of another type, is an error)
"""
import base64
import json
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

IDS = {"traceId": 16, "spanId": 8, "parentSpanId": 8}


def with_base64_ids(value):
    """OTLP has ids in hex, where protobuf's JSON has base64."""
    if isinstance(value, list):
        return [with_base64_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {name: with_base64_ids(item) for name, item in value.items()}
    for name, size in IDS.items():
        if name in result:
            data = bytes.fromhex(result[name])
            assert len(data) == size and any(data) and result[name] == result[name].lower(), (name, result[name])
            result[name] = base64.b64encode(data).decode()
    return result


def attributes_of(message):
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in message.attributes}


def read(body):
    request = json_format.ParseDict(with_base64_ids(json.loads(body)), ExportTraceServiceRequest())
    for resource_spans in request.resource_spans:
        resource = attributes_of(resource_spans.resource)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield {"trace": span.trace_id.hex(), "id": span.span_id.hex(), "parent": span.parent_span_id.hex(),
                       "name": span.name, "kind": span.kind, "start": span.start_time_unix_nano,
                       "end": span.end_time_unix_nano, "attributes": attributes_of(span), "resource": resource,
                       "events": [event.name for event in span.events], "failed": span.status.code == 2,
                       "state": span.trace_state, "links": [[link.trace_id.hex(), link.span_id.hex()] for link in span.links]}


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print(json.dumps([span for body in json.load(file) for span in read(body)]))
