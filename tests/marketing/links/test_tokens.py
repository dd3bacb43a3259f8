"""What stands in the address of a link, and who can read it."""

from uuid import uuid4

import pytest
from django.core import signing

from marketing.links import tokens
from marketing.links.tokens import Purpose, Ticket

TENANT = str(uuid4())


def ticket(**facts):
    return Ticket(Purpose.UNSUBSCRIBE, TENANT, **{"participant_id": "ada", "channel": "email", **facts})


@pytest.mark.parametrize(
    "given", [ticket(), ticket(key="é" * 255, participant_id="ü" * 255), ticket(key="k" * 255), ticket(channel="sms")]
)
def test_a_token_says_what_its_ticket_says_and_fits_into_an_address(given):
    token = tokens.sign(given)

    assert tokens.read(token) == given
    assert len(token) <= tokens.MAX_LENGTH


def test_tokens_are_djangos_whoever_signs_them():
    token = tokens.sign(ticket())

    assert signing.loads(token, salt=tokens.SALT)[2] == "ada"
    assert tokens.read(signing.dumps(signing.loads(token, salt=tokens.SALT), salt=tokens.SALT)) == ticket()


def test_a_key_that_was_replaced_signs_nothing_more_and_is_read_while_it_is_named(settings):
    settings.SECRET_KEY = "old" * 20
    old = tokens.sign(ticket())

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new" * 20, ["old" * 20]

    assert tokens.sign(ticket()) != old
    assert tokens.read(old) == ticket()
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(tokens.Forged):
        tokens.read(old)
