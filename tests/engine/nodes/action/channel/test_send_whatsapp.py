from tests.engine.nodes.steps import execute

TEXT = {"content": {"text": "Hi"}}


def test_the_language_may_be_chosen():
    assert execute("send_whatsapp", TEXT | {"language": "de"}).effects[0].payload["language"] == "de"


def test_the_providers_template_is_an_option():
    config = TEXT | {"provider_opts": {"content_sid": "HX1"}}

    assert execute("send_whatsapp", config).effects[0].payload["options"] == {"content_sid": "HX1"}
