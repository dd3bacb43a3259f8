"""Messages are written strictly, escaped where they are HTML, and at no more cost than a message needs."""

import pytest

from marketing.templates import liquid, variables
from marketing.templates.content import Content, flaws, render
from marketing.templates.errors import CannotRender, Flaw

HELLO = Content(
    "email",
    {"subject": "Hello {{ participant.name }}", "html": "<p>{{ vars.note }}</p>", "text": "{{ vars.note }}"},
    {"de": {"subject": "Hallo {{ participant.name }}"}, "de-AT": {"text": "Servus, {{ vars.note }}"}},
)
ADA = {"participant": {"name": "Ada\r\nBcc: eve@example.com"}, "vars": {"note": "<script>&"}}

HOSTILE = {
    "a loop over a billion": "{% for i in (1..1000000000) %}x{% endfor %}",
    "a row of a billion": "{% tablerow i in (1..1000000000) %}x{% endtablerow %}",
    "a list of a billion": "{{ (1..1000000000) | join: 'x' }}",
    "a text that doubles": "{% assign x = 'aaaaaaaaaaaaaaaa' %}" + "{% assign x = x | append: x %}" * 60,
    "a number that squares": "{% assign x = 99 %}{% for i in (1..99) %}{% assign x = x | times: x %}{% endfor %}",
    "a text in place of each letter": "{% assign x = 'aaaaaaaa' %}"
    + "{% assign x = x | append: x %}" * 14
    + "{{ x | replace: 'a', x }}",
    "loops in loops": "{% for i in (1..5000) %}" + "{% if true %}{% endif %}" * 3_000 + "{% endfor %}",
    "a book": "{% for i in (1..5000) %}" + "x" * 1_000 + "{% endfor %}",
    "a captured book": "{% capture x %}{% for i in (1..5000) %}" + "x" * 1_000 + "{% endfor %}{% endcapture %}",
    "an hour of stripping": "{% assign x = '<script' %}"
    + "{% assign x = x | append: x %}" * 14
    + "{{ x | strip_html }}",
}
HOSTILE |= {
    f"a range of a billion, {name}": source
    for name, source in {
        "backwards": "{% for i in (1..1000000000) reversed %}x{% endfor %}",
        "looked through": "{% if (1..1000000000) contains 'x' %}x{% endif %}",
        "kept and looked through": "{% assign r = (1..1000000000) %}{% unless r contains 0.5 %}x{% endunless %}",
        "in a case": "{% case 'x' %}{% when (1..1000000000) %}x{% endcase %}",
        "below": "{% if false or true and (1..99999999999999999999) contains 'x' %}x{% endif %}",
        "as an argument": "{{ 'a' | split: '' | concat: (1..1000000000) | size }}",
        "in lines": "{% liquid\nassign r = (1..1000000000)\nif r contains 'x'\necho 'x'\nendif %}",
    }.items()
}
LONG = "{% assign x = 'aaaaaaaa' %}" + "{% assign x = x | append: x %}" * 14
MANY = (
    "{% assign x = 'a,a,a,a,a,a,a,a' %}"
    + "{% assign x = x | append: ',' | append: x %}" * 10
    + "{% assign x = x | split: ',' %}"
)
HOSTILE |= {
    f"many times {name}": f"{before}{{% for i in (1..4990) %}}{work}{{% endfor %}}"
    for name, (before, work) in {
        "a long text": (LONG, "{{ x | newline_to_br | size }}"),
        "a long text looked through": (LONG, "{% if x contains 'b' %}x{% endif %}"),
        "a long list": (MANY, "{{ x | sort | size }}"),
        "what is there once": (MANY, "{{ x | uniq | size }}"),
    }.items()
}
UNREADABLE = {
    "a file": "{% include '/etc/passwd' %}",
    "another template": "{% render 'other' %}",
    "openers alone": "{{" * 50_000,
    "tags alone": "{%" * 50_000,
    "raw without an end": "{% raw %}" * 20_000,
    "blanks": "{{ " + " " * 100_000 + "x }}",
    "depth": "{% if true %}" * 5_000,
    "conditions": "{% if " + " and ".join(["true"] * 20_000) + " %}x{% endif %}",
    "too much": "x" * 200_001,
}


def test_html_is_escaped_and_text_is_not():
    written = render(HELLO, ADA)

    assert written["html"] == "<p>&lt;script&gt;&amp;</p>"
    assert written["text"] == "<script>&"


def test_a_subject_is_one_line_whatever_a_profile_holds():
    assert render(HELLO, ADA)["subject"] == "Hello Ada Bcc: eve@example.com"


@pytest.mark.parametrize(
    ("locale", "subject", "text"),
    [
        ("de-AT", "Hallo", "Servus, <script>&"),
        ("de_at", "Hallo", "Servus, <script>&"),
        ("de-CH", "Hallo", "<script>&"),
        ("fr", "Hello", "<script>&"),
        ("", "Hello", "<script>&"),
    ],
)
def test_each_part_falls_back_from_region_to_language_to_default(locale, subject, text):
    written = render(HELLO, ADA, locale)

    assert written["subject"].startswith(subject)
    assert written["text"] == text


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ vars.gone }}", "template_missing:vars.gone"),
        ("{{ vars.gone | upcase }}", "template_missing:vars.gone"),
        ("{% for item in vars.gone %}{% endfor %}", "template_missing:vars.gone"),
        ("{{ gone }}", "template_missing:gone"),
        ("{{ vars.note.__class__ }}", "template_missing:vars.note.__class__"),
    ],
)
def test_an_unknown_variable_is_an_error_that_names_it(source, reason):
    with pytest.raises(CannotRender) as refusal:
        render(Content("sms", {"text": f"\n{source}"}), ADA)

    assert refusal.value.reason == reason
    assert (refusal.value.part, refusal.value.line) == ("text", 2)


def test_what_is_asked_for_or_has_a_default_may_be_missing():
    source = "{% if vars.gone %}{{ vars.gone }}{% endif %}{{ vars.gone | default: 'there' }}"

    assert render(Content("sms", {"text": source}), ADA)["text"] == "there"


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_wording_ends_at_a_limit(source):
    with pytest.raises(CannotRender) as refusal:
        liquid.write(source, {}, html=True)

    assert refusal.value.reason == "template_error"


@pytest.mark.parametrize("source", UNREADABLE.values(), ids=UNREADABLE)
def test_a_wording_that_reaches_out_or_never_ends_is_refused_when_it_is_read(source):
    with pytest.raises(Flaw):
        liquid.parse(source, html=False)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-03-29T00:30:00Z", "01:30"),
        ("2026-03-29T01:30:00+00:00", "03:30"),
        (1774744200, "01:30"),
        ("soon", "soon"),
    ],
)
def test_dates_are_written_in_the_zone_that_is_asked_for(value, expected):
    source = "{{ vars.at | date: '%H:%M', 'Europe/Vienna' }}"

    assert liquid.write(source, {"vars": {"at": value}}, html=False) == expected


def test_every_flaw_is_found_with_its_part_and_line():
    content = Content("email", {"subject": "{% if %}", "html": "x\n{{ y", "body": "?"}, {"deutsch!": {"text": "{{"}})

    found = {(each.attr, each.line) for each in flaws(content)}

    assert found == {
        ("content.subject", 1),
        ("content.html", 2),
        ("content.body", None),
        ("locales", None),
        ("locales.deutsch!.text", 1),
    }


def test_a_message_without_its_needed_parts_is_refused():
    assert [each.code for each in flaws(Content("email", {"text": "x"}))] == ["required"]
    assert [each.code for each in flaws(Content("sms", {"text": "  "}))] == ["required"]
    assert flaws(Content("push", {"body": "x"})) == []


def test_variables_that_are_sure_to_be_missing_are_known_before_anything_is_sent():
    content = Content(
        "email",
        {"subject": "{{ vars.name }} {{ first_name }}", "text": "{{ vars.code | default: '' }}{{ participant.x }}"},
        {"de": {"text": "{% if vars.q %}{{ vars.q }}{% endif %}{% for i in vars.items %}{{ i.n }}{% endfor %}"}},
    )

    found = variables.unknown_variables(content, {"items"})

    assert [each.attr for each in found] == ["content.subject", "content.subject"]
    assert {"vars.name", "vars.code", "vars.items", "first_name"} <= set(variables.names_of(content))
