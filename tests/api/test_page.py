"""The page for browsers."""

import re

from tailrace.api.page import HTML

TEXT = HTML.decode()


def test_it_has_everything_in_itself():
    assert not re.findall(r'(?:src|href)\s*=\s*["\'](?!#)', TEXT)
    assert "@import" not in TEXT
    assert set(re.findall(r'fetch\("([^"]+)"', TEXT)) == {"/api/v2/pipeline"}


def test_names_from_outside_are_never_read_as_html():
    assert "innerHTML" not in TEXT
    assert "insertAdjacentHTML" not in TEXT
    assert "document.write" not in TEXT


def test_every_element_that_the_script_fills_is_there():
    wanted = set(re.findall(r'(?:byId|table)\("([a-z-]+)"', TEXT))
    assert wanted <= set(re.findall(r'id="([a-z-]+)"', TEXT))
