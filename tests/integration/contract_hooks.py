"""What schemathesis is told about graft beside the document: which names are there, and how much may be asked for."""
import json
import os
from pathlib import Path

import jsonschema
import schemathesis
import yaml
from schemathesis.core import NOT_SET
from schemathesis.core.parameters import ParameterLocation

TASK = json.loads(Path(os.environ["GRAFT_CONTRACT"]).read_text())
NAMES = TASK["names"]
DOCUMENT = yaml.safe_load(Path(TASK["document"]).read_text())
MOST_TOKENS = 2
# What would end what other cases need, or run for long.
SPARED = {"deleteFile", "deleteDataset", "deleteAdapter", "deleteVersion", "deleteJob"}


@schemathesis.serializer("application/x-tar")
def no_archive(context, value):
    """Bytes that are no archive; real ones are other tests'."""
    return str(value).encode()


def is_sound(case, location):
    """Whether this part of the request is as the document says."""
    part = case.meta.components.get(location) if case.meta else None
    return part is None or part.mode.is_positive


def bound(body, operation):
    """As much as a machine that tests can do."""
    if operation in ("createChatCompletion", "createCompletion"):
        name = "max_completion_tokens" if operation == "createChatCompletion" else "max_tokens"
        for field in ("max_tokens", "max_completion_tokens"):
            if isinstance(body.get(field), int) and body[field] > MOST_TOKENS:
                body[field] = MOST_TOKENS
        if body.get("max_tokens") is None and body.get("max_completion_tokens") is None:
            body[name] = MOST_TOKENS
        if isinstance(body.get("n"), int) and 2 < body["n"] <= 64:
            body["n"] = 2
        if isinstance(body.get("prompt"), list) and 4 < len(body["prompt"]) <= 128:
            body["prompt"] = body["prompt"][:4]
    for field in ("input", "inputs"):
        if isinstance(body.get(field), list) and 4 < len(body[field]) <= 256:
            body[field] = body[field][:4]
    if operation == "createJob":
        body["validate_only"] = True
    if operation == "createFineTuningJob" and isinstance(body.get("graft"), (dict, type(None))):
        body["graft"] = {**(body.get("graft") or {}), "validate_only": True}


def name(body, operation):
    """Names something that is there, in place of what was made up."""
    if "model" in body:
        body["model"] = {"createEmbeddings": "minilm", "classify": NAMES["adapter"]}.get(operation, "smollm2")
    if "training_file" in body:
        body["training_file"] = NAMES["file"]
    spec = body.get("spec") if isinstance(body.get("spec"), dict) else body
    if "base" in spec:
        spec["base"] = "minilm"
    if isinstance(spec.get("dataset"), dict) and "train" in spec["dataset"]:
        spec["dataset"]["train"] = NAMES["uri"]
    if "version" in body:
        body["version"] = "latest"


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = case.operation.definition.raw["operationId"]
    is_body_sound = is_sound(case, ParameterLocation.BODY)
    if is_sound(case, ParameterLocation.PATH) and operation not in SPARED:
        for key in case.path_parameters or {}:
            known = {"model": "smollm2", "base": "smollm2", "alias": "live"}.get(key, NAMES.get(key))
            if known is not None:
                case.path_parameters[key] = known
    if isinstance(case.body, dict) and case.media_type == "application/json":
        bound(case.body, operation)
        if is_body_sound:
            name(case.body, operation)


def fixed(value, error):
    """The value that protobuf's reader and graft's take a value for that isn't of the type which `error` asks for."""
    types = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    if value is None:
        return NOT_SET
    if "array" in types and not isinstance(value, list):
        return [value]
    names = error.schema.get("enum", [])
    if isinstance(value, int) and "string" in types and 0 <= value < len(names):
        return names[value]
    if isinstance(value, str):
        if "boolean" in types and value in ("true", "false"):
            return value == "true"
        try:
            number = float(value)
        except ValueError:
            return value
        if "integer" in types and number == int(number):
            return int(number)
        if "number" in types:
            return number
    return value


def is_taken_for_sound(body, schema):
    """Whether all that is wrong with a body is what the document says that readers take all the same: null for nothing, numbers
    and truth values as texts, enums by number, lists in lists, a value for a list of one."""
    body = json.loads(json.dumps(body))
    validator = jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]})
    for _ in range(100):
        errors = list(validator.iter_errors(body))
        leaves = [leaf for error in errors for leaf in ([error] if not error.context else error.context)]
        if not leaves:
            return True
        changed = False
        for error in leaves:
            path = list(error.absolute_path)
            if error.validator not in ("type", "enum", "const") or not path:
                continue
            holder = body
            for step in path[:-1]:
                holder = holder[step]
            value = fixed(holder[path[-1]], error)
            if isinstance(holder, list) and isinstance(value, list):
                holder[path[-1]:path[-1] + 1] = value
            elif value is NOT_SET:
                del holder[path[-1]]
            elif type(value) is not type(holder[path[-1]]):
                holder[path[-1]] = value
            else:
                continue
            changed = True
            break
        if not changed:
            return False
    return False


@schemathesis.hook
def filter_failure(context, failure, case, response):
    # Of every request, whatever the operation.
    if type(failure).__name__ == "UndefinedStatusCode" and response.status_code in (414, 431):
        return False
    if type(failure).__name__ == "AcceptedNegativeData" and case.media_type == "application/json":
        content = case.operation.definition.raw.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema", {})
        return not is_taken_for_sound(case.body, schema) if isinstance(case.body, (dict, list)) else True
    return True
