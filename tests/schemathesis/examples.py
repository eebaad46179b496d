"""Validates every example of the OpenAPI document on stdin against its schema, and prints their number."""

import json
import sys

import jsonschema_rs

document = json.load(sys.stdin)


def examples(node, path=""):
    """Yields path, schema and value of each example, in a schema or beside one."""
    if isinstance(node, list):
        for number, part in enumerate(node):
            yield from examples(part, f"{path}/{number}")
    elif isinstance(node, dict):
        schema = node.get("schema", node)
        if "type" in schema or "$ref" in schema:
            given = [node["example"]] if "example" in node else node.get("examples", [])
            for example in given.values() if isinstance(given, dict) else given:
                yield path, schema, example
        for name, part in node.items():
            yield from examples(part, f"{path}/{name}")


found = list(examples(document))
for path, schema, example in found:
    whole = {**schema, "components": document["components"]}
    for error in jsonschema_rs.Draft202012Validator(whole, validate_formats=True).iter_errors(example):
        sys.exit(f"{path}: {error.message}")
print(len(found))
