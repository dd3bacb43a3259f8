from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from engine.nodes import registry
from engine.nodes.base import Category, Node, NodeConfig, RunsAs
from engine.nodes.duration import Duration
from engine.nodes.errors import DuplicateNodeType, InvalidConfig, InvalidNodeType, UnknownNodeType
from engine.nodes.outcomes import Completed

HERE = Path(__file__).parent
SOURCES = Path(registry.__file__).parent
FOLDERS = ("trigger", "condition", "wait", "action", "end")


@pytest.fixture(autouse=True)
def preserved():
    with registry.preserved():
        yield


class Teleport(Node):
    """Go elsewhere."""

    type = "teleport"

    @dataclass(frozen=True, slots=True)
    class Config:
        """Where to."""

        target: str
        after: Duration | None = None

    def execute(self, config, step):
        return Completed({"target": config.target})


def test_a_type_can_be_registered_at_run_time():
    registry.register(Teleport)
    config = registry.parse_config("teleport", {"target": "moon", "after": "3d"})
    assert (config.target, config.after.days) == ("moon", 3)
    assert registry.get("teleport").execute(config, None) == Completed({"target": "moon"})
    registry.unregister("teleport")
    with pytest.raises(UnknownNodeType):
        registry.get("teleport")


def test_the_dataclass_of_a_plug_in_is_as_strict_as_any_config():
    registry.register(Teleport)
    with pytest.raises(InvalidConfig) as raised:
        registry.parse_config("teleport", {"targt": "moon", "after": "soon"})
    problems = {problem.path: problem.message for problem in raised.value.problems}
    assert problems.keys() == {"target", "targt", "after"}
    assert problems["targt"] == 'there is no setting "targt"; did you mean "target"?'


def test_a_type_is_registered_once():
    registry.register(Teleport)
    with pytest.raises(DuplicateNodeType, match="teleport"):
        registry.register(Teleport)


@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        ({"type": "Teleport"}, "snake_case"),
        ({"type": None}, "snake_case"),
        ({"category": "action"}, "`category`"),
        ({"runs_as": "inline"}, "`runs_as`"),
        ({"category": Category.WAIT}, "RunsAs.INLINE"),
        ({"branches": ["a"]}, "`branches`"),
        ({"branches": ("a", "a")}, "`branches`"),
        ({"needs": ("profile",)}, "`needs`"),
        ({"Config": dict}, "`Config`"),
        ({"execute": Node.execute}, "`execute"),
    ],
)
def test_a_class_that_is_no_node_type_is_told_why(facts, complaint):
    with pytest.raises(InvalidNodeType, match=complaint):
        registry.register(type("Broken", (Teleport,), facts))


def test_what_is_not_even_a_node_is_refused():
    with pytest.raises(InvalidNodeType):
        registry.register(dict)


def test_a_broken_package_does_not_stop_the_others(monkeypatch):
    monkeypatch.setattr(registry, "_broken", [])
    registry._load_plugin(EntryPoint("lost", "no.such.module:Node", registry.GROUP))
    registry._load_plugin(EntryPoint("wrong", "builtins:dict", registry.GROUP))
    registry._load_plugin(EntryPoint("right", f"{__name__}:Teleport", registry.GROUP))
    assert [plugin.name for plugin in registry.broken()] == ["lost", "wrong"]
    assert registry.get("teleport").type == "teleport"


def test_every_node_type_has_its_file_and_its_test():
    sources = {path.relative_to(SOURCES) for folder in FOLDERS for path in (SOURCES / folder).rglob("*.py")}
    tests = {path.relative_to(HERE) for folder in FOLDERS for path in (HERE / folder).rglob("test_*.py")}
    nodes = {path for path in sources if path.name != "__init__.py"}
    assert {path.with_name(f"test_{path.name}") for path in nodes} == tests
    built_in = {node.type for node in registry.all() if type(node).__module__.startswith("engine.nodes.")}
    assert built_in == {path.stem for path in nodes}


def test_node_files_are_short():
    for folder in FOLDERS:
        for path in (SOURCES / folder).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 80, path


def test_nodes_import_neither_django_nor_celery():
    for path in SOURCES.rglob("*.py"):
        text = path.read_text()
        assert "import django" not in text, path
        assert "from django" not in text, path
        assert "celery" not in text, path


def properties(schema, definitions):
    """Every key of a schema, nested ones too, by its path."""
    for name, key in schema.get("properties", {}).items():
        yield name, key
    for part in [*definitions.values()]:
        for name, key in part.get("properties", {}).items():
            yield name, key


@pytest.mark.parametrize("entry", registry.catalogue(), ids=lambda entry: entry["type"])
def test_every_key_has_a_type_a_default_and_a_description(entry):
    schema = entry["config_schema"]
    definitions = schema.get("$defs", {})
    required = {name for part in (schema, *definitions.values()) for name in part.get("required", ())}
    for name, key in properties(schema, definitions):
        assert key.keys() & {"type", "anyOf", "$ref", "enum", "const"}, name
        assert key.get("description"), name
        assert "default" in key or name in required, name


@pytest.mark.parametrize("entry", registry.catalogue(), ids=lambda entry: entry["type"])
def test_every_type_says_what_it_is(entry):
    assert entry["title"]
    assert entry["description"].endswith(".")
    assert entry["result_schema"]["type"] == "object"
    assert entry["runs_as"] in {"inline", "activity"}


def test_a_config_without_keys_is_one():
    class Plain(Node):
        type = "plain"
        runs_as = RunsAs.INLINE

        def execute(self, config, step):
            return Completed()

    registry.register(Plain)
    assert isinstance(registry.parse_config("plain", None), NodeConfig)


def test_the_reference_names_every_type():
    reference = (Path(__file__).parents[3] / "docs" / "reference" / "nodes.md").read_text()
    built_in = [node.type for node in registry.all() if type(node).__module__.startswith("engine.nodes.")]
    assert [name for name in built_in if f"| `{name}` |" not in reference] == []
