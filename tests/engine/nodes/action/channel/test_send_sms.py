from tests.engine.nodes.steps import execute, problems


def test_it_queues_a_text_message():
    (message,) = execute("send_sms", {"content": {"text": "Hi"}}).effects

    assert (message.channel, message.payload["content"]) == ("sms", {"text": "Hi"})


def test_unknown_keys_are_refused():
    assert problems("send_sms", {"content": {"text": "Hi"}, "deep_link": "app://x"})
