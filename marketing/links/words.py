"""The words of the pages behind links, by language; a language is added by adding its entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DEFAULT: Final = "en"

WORDS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "unsubscribe_title": "Unsubscribe",
        "unsubscribe_ask": "Do you want to stop receiving {topic} by {channel}?",
        "unsubscribe_ask_all": "Do you want to stop receiving messages by {channel}?",
        "unsubscribe_button": "Unsubscribe",
        "unsubscribe_all_button": "Unsubscribe from everything by {channel}",
        "unsubscribed": "You are unsubscribed. You will get no more of these messages.",
        "confirm_title": "Please confirm",
        "confirm_ask": "Do you want to receive {topic}?",
        "confirm_button": "Yes, I want to",
        "confirmed": "Thank you, this is confirmed.",
        "forged": "This link is not valid. Please use the link in the message as it is.",
        "expired": "This link is no longer valid. A newer message may hold a newer link.",
        "failed_title": "This link does not work",
        "done_title": "Done",
        "email": "e-mail",
        "sms": "text message",
        "push": "push notification",
        "whatsapp": "WhatsApp",
        "in_app": "in-app message",
    },
    "de": {
        "unsubscribe_title": "Abmelden",
        "unsubscribe_ask": "Möchten Sie {topic} nicht mehr per {channel} erhalten?",
        "unsubscribe_ask_all": "Möchten Sie keine Nachrichten mehr per {channel} erhalten?",
        "unsubscribe_button": "Abmelden",
        "unsubscribe_all_button": "Von allem per {channel} abmelden",
        "unsubscribed": "Sie sind abgemeldet und erhalten keine dieser Nachrichten mehr.",
        "confirm_title": "Bitte bestätigen",
        "confirm_ask": "Möchten Sie {topic} erhalten?",
        "confirm_button": "Ja, das möchte ich",
        "confirmed": "Danke, das ist bestätigt.",
        "forged": "Dieser Link ist ungültig. Bitte verwenden Sie den Link aus der Nachricht unverändert.",
        "expired": "Dieser Link ist nicht mehr gültig. Eine neuere Nachricht enthält vielleicht einen neueren.",
        "failed_title": "Dieser Link funktioniert nicht",
        "done_title": "Erledigt",
        "email": "E-Mail",
        "sms": "SMS",
        "push": "Push-Nachricht",
        "whatsapp": "WhatsApp",
        "in_app": "Nachricht in der App",
    },
}


def best(accepted: str, locale: str = "") -> str:
    """The language of a page: the customer's own, else the first of the browser's that there is, else English."""
    wishes = [locale, *(part.partition(";")[0] for part in accepted.split(","))]
    for wish in wishes:
        language = wish.strip().replace("_", "-").partition("-")[0].lower()
        if language in WORDS:
            return language
    return DEFAULT


def of(language: str) -> Mapping[str, str]:
    """The words of a language."""
    return WORDS.get(language, WORDS[DEFAULT])
