"""E-mails composed of whatever a template made."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace

import pytest

from marketing.channels import mail
from tests.marketing.channels.conftest import message

US = mail.Sender(from_email="us@example.com")


def text_of(html: str) -> str:
    return str(mail.compose(US, replace(message(), parts={"subject": "x", "html": html})).body)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<head><title>T</title></head><body><p>Hi <b>Ada</b></p></body>", "Hi Ada"),
        ("<STYLE type=x>p {}</style ><p>Hi</p><script>1 < 2</SCRIPT\n>", "Hi"),
        ("<p>a</p><style><head></style><p>b</p></head>", "ab"),
        ("<header>Hi</header><p>there</p>", "Hithere"),
        ("a\n \n\n\n \nb", "a\n\nb"),
    ],
)
def test_what_mail_programs_show_is_the_text(html, text):
    assert text_of(html) == text


@pytest.mark.parametrize("tag", ["<head ", "<style>", "<body", "<head></head ", "</script", "\n \n\t"])
def test_a_hostile_page_takes_no_longer_than_another(tag):
    html = tag * (40_000 // len(tag)) + "<p>"
    began = time.process_time()

    mail.compose(US, replace(message(), parts={"subject": "x", "text": "x", "html": html, "preheader": "p"}))
    with suppress(ValueError):
        text_of(html)

    assert time.process_time() - began < 0.5


def test_what_is_no_page_is_refused_as_no_message():
    with pytest.raises(ValueError, match="HTML"):
        text_of("<a" * 60_000)
