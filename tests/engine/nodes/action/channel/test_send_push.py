from tests.engine.nodes.steps import execute

TITLE = {"content": {"title": "Hi"}}


def test_the_deep_link_may_be_a_reference():
    config = TITLE | {"deep_link": {"ref": "entry.link"}}

    assert execute("send_push", config, entry={"link": "app://cart"}).effects[0].payload["deep_link"] == "app://cart"


def test_without_a_deep_link_the_template_decides():
    assert "deep_link" not in execute("send_push", TITLE).effects[0].payload
