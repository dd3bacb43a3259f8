"""What the served schema promises is what is answered."""

import pytest
from drf_spectacular.generators import SchemaGenerator

from flows import lifecycle, versions
from flows.api.urls import urlpatterns
from tests.flows.graphs import edge, line

KINDS = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list, "number": float}


@pytest.fixture(scope="module")
def schema():
    return SchemaGenerator().get_schema(request=None, public=True)


def resolved(schema, shape):
    while "$ref" in shape:
        shape = schema["components"]["schemas"][shape["$ref"].rsplit("/", 1)[1]]
    if "allOf" in shape:
        return resolved(schema, shape["allOf"][0]) | {key: value for key, value in shape.items() if key != "allOf"}
    return shape


def differences(schema, shape, value, at="answer"):
    """Everything in which a value is not of a shape: fields too many and too few, wrong types, wrong words."""
    shape = resolved(schema, shape)
    if value is None:
        words = [word for one in shape.get("oneOf", ()) for word in resolved(schema, one).get("enum", ())]
        return [] if shape.get("nullable") or None in words or not shape.get("type") else [f"{at} is null"]
    if "enum" in shape and value not in shape["enum"]:
        return [f"{at} is {value!r}"]
    kind = KINDS.get(shape.get("type"), object)
    if not isinstance(value, kind):
        return [f"{at} is a {type(value).__name__}"]
    if isinstance(value, list):
        return [
            d for i, each in enumerate(value) for d in differences(schema, shape.get("items", {}), each, f"{at}.{i}")
        ]
    if isinstance(value, dict) and "properties" in shape:
        missing = [f"{at}.{name} is missing" for name in shape.get("required", ()) if name not in value]
        extra = [f"{at}.{name} is not in the schema" for name in value if name not in shape["properties"]]
        below = (
            differences(schema, shape["properties"][name], value[name], f"{at}.{name}")
            for name in value
            if name in shape["properties"]
        )
        return [*missing, *extra, *(d for found in below for d in found)]
    return []


@pytest.fixture
def promised(schema, api):
    """Call an operation and compare its answer with the schema."""

    def call(method, template, body=None, **names):
        response = getattr(api, method)(template.format(**names), body)
        answers = schema["paths"][template][method]["responses"]
        assert str(response.status_code) in answers, (template, response.status_code, response.content)
        shape = answers[str(response.status_code)].get("content", {}).get("application/json", {}).get("schema")
        if response.content:
            assert differences(schema, shape, response.json()) == []
        return response

    return call


def test_every_answer_is_of_the_promised_shape(promised, flow, instance_of, step_of):
    root = "/api/v1/flows"
    one = root + "/{flow_id}"
    names = {"flow_id": flow.pk, "number": 1, "other": 2}
    raw = line("more")
    raw["edges"].append(edge("more", "nowhere"))
    promised("post", root, {"name": "New", "graph": line()})
    promised("post", root, {"name": 7})
    promised("post", one + "/versions", {"graph": raw}, **names)
    promised("get", one + "/versions", **names)
    promised("get", one + "/versions/{number}", **names)
    promised("patch", one + "/versions/{number}", {"changelog": "x"}, **names)
    promised("post", one + "/versions/{number}/validate", **(names | {"number": 2}))
    promised("post", one + "/versions/{number}/publish", **names)
    promised("get", one + "/versions/{number}/diff/{other}", **names)
    for verb in ("activate", "pause", "resume", "archive", "duplicate", "activate"):
        promised("post", f"{one}/{verb}", **names)
    promised("get", root)
    promised("get", one, **names)
    promised("patch", one, {"name": "x"}, **names)
    promised("put", one, {"name": "x"}, **names)
    promised("delete", one, **names)


def test_instances_are_of_the_promised_shape(promised, flow, instance_of, step_of):
    lifecycle.activate(flow)
    token = {"node_id": "pause", "node_type": "wait", "status": "waiting", "since": "2030-01-01T12:00:00Z"}
    waiting = instance_of(
        flow, current_nodes=[token | {"waiting_for": {"event_types": ["x"], "until": None}}], status="waiting"
    )
    instance_of(flow, "bob", status="failed", error={"code": "x", "detail": "y", "node_id": None})
    step_of(waiting, 1, output={"a": 1}, input=[1])

    promised("get", "/api/v1/instances")
    promised("get", "/api/v1/instances/{instance_id}", instance_id=waiting.pk)
    promised("get", "/api/v1/flows/{flow_id}/instances", flow_id=flow.pk)
    versions.create_draft(flow, line())


def test_every_address_is_in_the_schema(schema):
    written = {
        f"/api/v1/{pattern.pattern}".replace("<str:", "{").replace("<int:", "{").replace(">", "}")
        for pattern in urlpatterns
    }

    assert written <= set(schema["paths"])
