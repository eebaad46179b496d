"""Gives each request its own token, because many requests revoke it."""

import itertools
import os

import requests
import schemathesis

CLIENTS = itertools.cycle(f"client {number}" for number in range(40))


@schemathesis.auth(refresh_interval=None)
class Token:
    def get(self, case, context):
        user = {"username": "tester", "password": os.environ["PASSWORD"], "client": next(CLIENTS)}
        answer = requests.post(f"{os.environ['ORIGIN']}/auth/login/", json=user, timeout=10)
        return answer.json()["auth_token"]

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_load_schema(context, schema):
    # Forms are accepted, too. The document says so only in prose.
    for operation in (operation for item in schema["paths"].values() for operation in item.values()):
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" in content:
            for form in ["application/x-www-form-urlencoded", "multipart/form-data"]:
                content[form] = dict(content["application/json"])


@schemathesis.hook
def filter_case(context, case):
    # A form cannot distinguish an empty field from one that is left out.
    is_form = case.media_type not in (None, "application/json")
    leaves_out = is_form and isinstance(case.body, dict) and "" in case.body.values()
    # Rocket 0.5 does not know QUERY and answers 400.
    return case.method != "QUERY" and not leaves_out
