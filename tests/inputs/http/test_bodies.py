"""Bodies of requests: any bytes give records or a refusal, nothing else."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from tailrace.inputs.http.bodies import read_form, read_json
from tailrace.net.http_server.intake import Refusal
from tailrace.net.http_server.tags import clean_tag


@given(body=st.binary(max_size=80) | st.text('[]{}",:1a \n', max_size=30).map(str.encode))
def test_json_gives_objects_or_a_refusal(body):
    with contextlib.suppress(Refusal):
        records, odd = read_json(body)
        assert all(type(record) is dict for record in records)
        assert odd >= 0


@given(body=st.binary(max_size=80) | st.text("a=&%+Cé9", max_size=30).map(str.encode))
def test_a_form_gives_text_or_a_refusal(body):
    with contextlib.suppress(Refusal):
        record = read_form(body)
        assert record
        assert {type(value) for value in record.values()} == {str}


@given(text=st.text(max_size=600))
def test_a_tag_is_made_of_harmless_characters_only(text):
    tag = clean_tag(text)
    assert len(tag) <= 512
    assert all(letter.isascii() and (letter.isalnum() or letter in "._") for letter in tag)
