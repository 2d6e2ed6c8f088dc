"""What Ruby's syntax means, checked against Onigmo.

The spans and the refusals are those of the Onigmo 6 that Fluent Bit 5.1.1 carries, called as `flb_regex.c` calls it.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.regex import RegexError, compile_regex

MATCHES = [
    ("^", "", [(0, 0)]),
    ("^", "a\n", [(0, 0)]),
    (r"\n^", "\n", None),
    (r"\n^", "\n\na", [(0, 1)]),
    ("x$", "ax\n", [(1, 2)]),
    (r"\n$", "\n\n", [(0, 1)]),
    ("/ss/i", "ß", [(0, 1)]),
    ("/ss/i", "SS", [(0, 2)]),
    ("/ss/i", "ẞ", [(0, 1)]),
    ("/ss/i", "sS", [(0, 2)]),
    ("/s/i", "ſ", [(0, 1)]),
    ("/k/i", "\u212a", [(0, 1)]),
    ("/[a-z]/i", "\u212a", [(0, 1)]),
    ("/[a-z]/i", "ſ", [(0, 1)]),
    (r"/\w/i", "\u212a", None),
    (r"/[\w]/i", "\u212a", None),
    (r"/[\w]/i", "ſ", None),
    (r"/[\w&&[^a]]/i", "\u212a", None),
    (r"/[\w&&[^a]]/i", "A", [(0, 1)]),
    (r"/[\w&&[^a]]/i", "b", [(0, 1)]),
    ("[[:punct:]]", "$", [(0, 1)]),
    ("[[:punct:]]", "+", [(0, 1)]),
    ("[[:punct:]]", "!", [(0, 1)]),
    (r"\p{Punct}", "$", None),
    (r"\p{Punct}", "!", [(0, 1)]),
    ("[[:alpha:]]+", "aªⅧ", [(0, 3)]),
    ("[[:alpha:]]+", "१", None),
    ("[[:^alpha:]]+", "12 é", [(0, 3)]),
    ("(?a)[[:alpha:]]+", "éa", [(1, 2)]),
    ("(?a)[[:^alpha:]]+", "aé1", [(1, 3)]),
    ("(?~abc)c", "abc", [(0, 3)]),
    ("(?~)", "a", None),
    (r"\/\*(?~\*\/)\*\/", "/* foo */ x */", [(0, 9)]),
    (r"\/\*(?~\*\/)\*\/", "/**/ */", [(0, 4)]),
    (r"\A\/\*(?~\*\/)\*\/\z", "/**/ */", None),
    (r"\A\/\*(?~\*\/)\*\/\z", "/* a */", [(0, 7)]),
    ("(?~a)", "bba", [(0, 2)]),
    ("(?~a)", "", [(0, 0)]),
    ("a{,2}", "aaa", [(0, 2)]),
    ("a{,}", "a{,}", [(0, 4)]),
    ("a{2}?", "aaa", [(0, 2)]),
    ("a{2}?", "a", [(0, 0)]),
    ("a{1,2}+", "aaaaa", [(0, 5)]),
    ("a{1,2}?", "aaa", [(0, 1)]),
    ("a{2", "a{2", [(0, 3)]),
    ("{", "{", [(0, 1)]),
    ("a{x}", "a{x}", [(0, 4)]),
    (r"\18", "\x018", [(0, 2)]),
    (r"\12", "\n", [(0, 1)]),
    (r"(a)\g<1>", "aa", [(0, 2), (1, 2)]),
    (r"[\x80-\xff]+", "\udce9", [(0, 1)]),
    (r"\xff", "\udcff", [(0, 1)]),
    (r"\xc3\xa9", "é", [(0, 1)]),
    (r"[\xc3\xa9]", "é", [(0, 1)]),
    (r"[^\x00-\x7f]+", "aéüb", [(1, 3)]),
    ("(?<é>a)", "a", [(0, 1), (0, 1)]),
    (r"(?<a>(?<b>x)|y)\g<a>", "xy", [(0, 2), (1, 2), (0, 1)]),
    (r"(?<a>(?<b>x)|y)\g<a>", "xx", [(0, 2), (1, 2), (1, 2)]),
    (r"(?<a>(?<b>x)|y)\g<a>", "yx", [(0, 2), (1, 2), (1, 2)]),
    (r"(?<a>.)(?<a>.)\k<a>", "abb", [(0, 3), (0, 1), (1, 2)]),
    (r"(?<a>.)(?<a>.)\k<a>", "aba", [(0, 3), (0, 1), (1, 2)]),
    (r"(?<a>.)(?<a>.)\k<a>", "abc", None),
    ("(?=a)*b", "b", [(0, 1)]),
    ("^*a", "a", [(0, 1)]),
    ("a**", "aaa", [(0, 3)]),
    ("[]a]", "]", [(0, 1)]),
    ("[^]a]", "]b", [(1, 2)]),
    ("(?i)straße", "STRASSE", [(0, 7)]),
    ("(?i)straße", "STRAßE", [(0, 6)]),
    ("(?i)straße", "straẞe", [(0, 6)]),
    (r"(?u)\w+", "naïve", [(0, 5)]),
    (r"\p{Alnum}\p{^L}", "a1", [(0, 2)]),
    (r"\P{Alnum}", "1-", [(1, 2)]),
    (r"\p{InBasicLatin}", "a", [(0, 1)]),
    (r"\p{In_Basic_Latin}", "éa", [(1, 2)]),
    (r"\p{Emoji}", "😀", [(0, 1)]),
    (r"\p{Han}", "漢", [(0, 1)]),
    (r"(?<p>\((?:[^()]|\g<p>)*\))", "a(b(c)d)e", [(1, 8), (1, 8)]),
    (r"(?<p>\((?:[^()]|\g<p>)*\))", "((", None),
    (r"(?<p>\((?:[^()]|\g<p>)*\))", "(())", [(0, 4), (0, 4)]),
    ("(?<!a|bc)d", "bcd", None),
    ("(?<!a|bc)d", "xd", [(1, 2)]),
    ("(?<!a|bc)d", "d", [(0, 1)]),
    ("(?<=a|bc)d", "bcd", [(2, 3)]),
    ("(?<=a|bc)d", "xd", None),
    ("(?<=a|bc)d", "ad", [(1, 2)]),
    ("/abc/o", "abc", None),
    ("/abc/o", "/abc/o", [(0, 6)]),
    ("/abc/oi", "ABC", [(0, 3)]),
    ("//", "x", [(0, 0)]),
    ("/", "/", [(0, 1)]),
    ("/a", "/a", [(0, 2)]),
    ("/a/q", "/a/q", [(0, 4)]),
    ("/a b # c/x", "ab", [(0, 2)]),
    (r"/a\ b/x", "a b", [(0, 3)]),
    ("/./m", "\n", [(0, 1)]),
    ("a(?i)b|c", "aB", [(0, 2)]),
    ("a(?i)b|c", "aC", [(0, 2)]),
    ("a(?i)b|c", "C", None),
    ("a(?i)b|c", "ac", [(0, 2)]),
    ("(a(?i)b)c", "aBc", [(0, 3), (0, 2)]),
    ("(a(?i)b)c", "aBC", None),
    ("(?i:a)b", "Ab", [(0, 2)]),
    ("(?i:a)b", "AB", None),
    ("(?i-i:a)", "A", None),
    ("(?-i:a)(?i)b", "aB", [(0, 2)]),
    ("(?mi).b", "\nB", [(0, 2)]),
    ("(?x) a b (?-x) c", "ab c", [(0, 4)]),
    ("(?x) a b (?-x) c", "ab  c", None),
    (r"\h\H", "fg", [(0, 2)]),
    (r"\h\H", "ff", None),
    (r"\R", "\r\n", [(0, 2)]),
    (r"\R", "\r", [(0, 1)]),
    (r"\R", "\u2028", [(0, 1)]),
    (r"\R", "\x85", [(0, 1)]),
    (r"\R\n", "\r\n", None),
    (r"\X", "éx", [(0, 2)]),
    (r"a\Kb", "ab", [(1, 2)]),
    (r"(?<x>a)\K(?<y>b)", "ab", [(1, 2), (0, 1), (1, 2)]),
    (r"\Aa", "ba", None),
    (r"a\z", "a\n", None),
    (r"a\z", "a", [(0, 1)]),
    (r"a\Z", "a\n", [(0, 1)]),
    (r"a\Z", "a\n\n", None),
    (r"\Ga", "ba", None),
    (r"\Ga", "ab", [(0, 1)]),
    ("[a-w&&[^c-g]z]+", "abhwcz", [(0, 4)]),
    ("[^a&&b]", "a", [(0, 1)]),
    ("[^a&&b]", "b", [(0, 1)]),
    ("[^a&&b]", "c", [(0, 1)]),
    ("[a&&b]", "a", None),
    ("[&&a]", "a", None),
    ("[&&a]", "&", None),
    ("[a&&]", "a", None),
    ("[a-c&&b-d&&c]", "b", None),
    ("[a-c&&b-d&&c]", "c", [(0, 1)]),
    ("(?<a>x)(y)", "xy", [(0, 2), (0, 1)]),
    (r"(x)\k<1>", "xx", [(0, 2), (0, 1)]),
    (r"(x)\k<-1>", "xx", [(0, 2), (0, 1)]),
    (r"(x)(y)\k<-2>", "xyx", [(0, 3), (0, 1), (1, 2)]),
    ("(?'n'x)\\k'n'", "xx", [(0, 2), (0, 1)]),
    ("(?<a>x)?(?(<a>)y|z)", "xy", [(0, 2), (0, 1)]),
    ("(?<a>x)?(?(<a>)y|z)", "z", [(0, 1), (-1, -1)]),
    ("(?<a>x)?(?(<a>)y|z)", "xz", [(1, 2), (-1, -1)]),
    ("(x)?(?(1)y|z)", "xy", [(0, 2), (0, 1)]),
    ("(x)?(?(1)y|z)", "z", [(0, 1), (-1, -1)]),
    ("(x)?(?(1)y)", "xy", [(0, 2), (0, 1)]),
    ("(x)?(?(1)y)", "z", [(0, 0), (-1, -1)]),
    (r"\e\a\f\v\t\n\r", "\x1b\x07\x0c\x0b\t\n\r", [(0, 7)]),
    (r"[\b]", "\x08", [(0, 1)]),
    (r"\x41\x{42}\u0043\103", "ABCC", [(0, 4)]),
    (r"\x", "\x00", None),
    (r"\cA\C-B", "\x01\x02", [(0, 2)]),
    (r"\c?", "\x7f", [(0, 1)]),
    (r"\M-a", "á", [(0, 1)]),
    ("a++b", "aab", [(0, 3)]),
    ("a++a", "aa", None),
    ("(?>a*)a", "aa", None),
    ("a?+a", "a", None),
    (r"(?<n>\d+)(?<n>x)?", "12", [(0, 2), (0, 2), (-1, -1)]),
    (r"(?<n>\d+)(?<n>x)?", "12x", [(0, 3), (0, 2), (2, 3)]),
    ("(?#c)a(?#b)+", "aa", [(0, 2)]),
    (r"(?#\))a", "a", [(0, 1)]),
    (r"\Q.\E", "Q.E", [(0, 3)]),
    (r"\Q.\E", "QxE", [(0, 3)]),
    (r"\o{12}", "oooooooooooo", [(0, 12)]),
    (r"\N", "N", [(0, 1)]),
    (r"\y", "y", [(0, 1)]),
    (r"\<a\>", "<a>", [(0, 3)]),
    ("\\`a\\'", "`a'", [(0, 3)]),
    (r"(?<a>a|b\g<a>c)", "bbacc", [(0, 5), (0, 5)]),
    (r"(?<a>a|b\g<a>c)", "a", [(0, 1), (0, 1)]),
    (r"(?<x>a){0}\g<x>", "a", [(0, 1), (0, 1)]),
    (r"\g<x>(?<x>a)", "aa", [(0, 2), (1, 2)]),
    (r"(a)\g<-1>", "aa", [(0, 2), (1, 2)]),
    (r"\g<+1>(a)", "aa", [(0, 2), (1, 2)]),
    (r"a\g<0>?", "aaa", [(0, 3)]),
    ("[:alpha:]+", "alpha:z", [(0, 6)]),
    ("[a-c-e]+", "abc-ed", [(0, 5)]),
    ("[--/]+", "-./", [(0, 3)]),
    ("[!--]+", "!,-", [(0, 3)]),
    ("[a-]", "-", [(0, 1)]),
    ("[-a]", "-", [(0, 1)]),
    ("[[a]-z]+", "-az b", [(0, 3)]),
    (r"[\]]", "]", [(0, 1)]),
    (r"[[\]]]", "]", [(0, 1)]),
    (r"\p{^Alpha}+", "12a", [(0, 2)]),
    (r"\P{^Alpha}+", "12a", [(2, 3)]),
    (r"[\p{^Alpha}a]+", "12ab", [(0, 3)]),
    (r"[^\p{Alpha}]+", "12ab", [(0, 2)]),
    (r"\pL", "pL", [(0, 2)]),
    (r"/\p{Lower}/i", "A", [(0, 1)]),
    ("/[[:upper:]]/i", "a", [(0, 1)]),
    ("/[^a]/i", "A", None),
    ("/[^a]/i", "b", [(0, 1)]),
    (r"\w+\W\d\D\s\S", "a_ 1x y", [(0, 7)]),
    (r"\s+", "\x0b\x0c \t\xa0", [(0, 4)]),
    (r"\d+", "1٣", [(0, 1)]),
    (r"(?u)\d+\s", "1\u0663\xa0", [(0, 3)]),
    (r"\bé\b", "é x", [(0, 1)]),
    (r"(?a)\bé", "é", None),
    (r"(?a)x\b", "xé", [(0, 1)]),
    (r"x\b", "xé", None),
    ("(a)|b", "b", [(0, 1), (-1, -1)]),
    ("(?:(a)|b)*", "ab", [(0, 2), (0, 1)]),
    ("(?:(a)|(b))*", "ab", [(0, 2), (0, 1), (1, 2)]),
    ("((a)|b)*", "ab", [(0, 2), (1, 2), (0, 1)]),
    ("(a|ab)(c|bcd)(d*)", "abcd", [(0, 4), (0, 1), (1, 4), (4, 4)]),
    ("(a*)*", "aa", [(0, 2), (2, 2)]),
    ("(a*)+", "aa", [(0, 2), (2, 2)]),
    ("(a|)+", "aa", [(0, 2), (2, 2)]),
    ("(?:a?)*?b", "aab", [(0, 3)]),
    ("(|a)*", "aa", [(0, 0), (0, 0)]),
    ("(|a)+", "aa", [(0, 0), (0, 0)]),
    (r"\Ba", "ba", [(1, 2)]),
    (r"\Ba", "a", None),
    ("a|", "b", [(0, 0)]),
    ("a|", "a", [(0, 1)]),
    ("|", "", [(0, 0)]),
    ("()", "a", [(0, 0), (0, 0)]),
    ("(?:)", "", [(0, 0)]),
    (r"(?<é>a)\k<é>", "aa", [(0, 2), (0, 1)]),
    (r"(?<=\$)\d+", "$45", [(1, 3)]),
    (r'(?<!\\)"', r'\""', [(2, 3)]),
    ("(?i)ff", "ﬀ", [(0, 1)]),
    ("/ß/i", "ss", [(0, 2)]),
    ("/ß/i", "SS", [(0, 2)]),
    ("/ß/i", "ẞ", [(0, 1)]),
    ("/[ß]/i", "ss", [(0, 2)]),
    ("/ﬃ/i", "ffi", [(0, 3)]),
    ("/ﬃ/i", "FFI", [(0, 3)]),
    ("/é/i", "É", [(0, 1)]),
    ("/σ/i", "ς", [(0, 1)]),
    ("/σ/i", "Σ", [(0, 1)]),
    ("/i/i", "İ", None),
    ("/i/i", "ı", None),
    ("/İ/i", "i\u0307", [(0, 2)]),
    (r"/(?<a>ab)\k<a>/i", "abAB", [(0, 4), (0, 2)]),
    (r"(\d+)(?:px)?;(?<x>.)", "12px;a", [(0, 6), (5, 6)]),
    ("a\nb$", "a\nb\nc", [(0, 3)]),
    ("^b", "a\nb", [(2, 3)]),
    ("(?m:.)a.", "\na\n", None),
    ("(?m:.)a.", "\nab", [(0, 3)]),
]
REFUSED = [
    r"[\w-.]+",  # unmatched range specifier in char-class
    r"[a-\d]",  # char-class value at end of range
    "a{2,1}",  # upper is smaller than lower in repeat range
    "a{100001}",  # too big number for repeat range
    r"\8",  # invalid backref number/name
    "(?<foo-bar>a)",  # invalid char in group name <foo-bar>
    "(?<1a>a)",  # invalid group name <1a>
    "*a",  # target of repeat operator is not specified
    "a|*b",  # target of repeat operator is not specified
    ")",  # unmatched close parenthesis
    "(",  # end pattern with unmatched parenthesis
    "(?<a",  # invalid group name <a>
    "[",  # premature end of char-class
    "[]",  # empty char-class
    "[^]",  # empty char-class
    r"\p{Foo}",  # invalid character property name {Foo}
    r"(?<a>x\g<a>)",  # never ending recursion
    r"(?<a>\g<a>x|y)",  # never ending recursion
    r"\k<a>",  # undefined name <a> reference
    r"(?<a>x)\1",  # numbered backref/call is not allowed. (use name)
    "(x)?(?(1)y|z|w)",  # invalid conditional pattern
    "(?(2)a)",  # invalid backref number/name
    r"\x{110000}",  # too big wide-char value
    r"\u12",  # too short digits
    r"\777",  # too big number
    "(?#c",  # end pattern in group
    r"\g<-1>",  # invalid backref number/name
    r"\g<0>?a",  # never ending recursion
    r"(?<x>a)\g<1>",  # numbered backref/call is not allowed. (use name)
    r"\g<y>",  # undefined name <y> reference
    r"(?<a>x)(?<a>y)\g<a>",  # multiplex definition name <a> call
    "[[:foo:]]",  # invalid POSIX bracket type
    "[[:alpha:]-z]",  # unmatched range specifier in char-class
    "[z-a]",  # empty range in char class
    "a\\",  # end pattern at escape
    "[\\",  # end pattern at escape
    "(?z)",  # undefined group option
    "(?-a)",  # undefined group option
]


def spans(pattern, text):
    match = compile_regex(pattern).search(text)
    return match and [match.span(group) for group in range(len(match.groups()) + 1)]


@pytest.mark.parametrize(("pattern", "text", "expected"), MATCHES)
def test_matches_what_onigmo_matches(pattern, text, expected):
    assert spans(pattern, text) == expected


@pytest.mark.parametrize("pattern", REFUSED)
def test_refuses_what_onigmo_refuses(pattern):
    with pytest.raises(RegexError) as caught:
        compile_regex(pattern)
    assert pattern in str(caught.value) or repr(pattern)[1:-1] in str(caught.value)


@given(st.text(st.sampled_from("ab1é(?<:=!>~)[]{},*+-|^$.\\&#/imxkgpPuhRKXzZAdws "), max_size=30))
def test_any_text_is_a_pattern_or_refused(pattern):
    try:
        regex = compile_regex(pattern)
    except RegexError:
        return
    assert regex.pattern == pattern


@pytest.mark.parametrize(
    "pattern", ["(" * 5000 + ")" * 5000, "[" * 5000 + "]" * 5000, "a" + "*" * 5000, "(?:a" * 3000]
)
def test_a_pattern_nested_without_measure_is_refused(pattern):
    with pytest.raises(RegexError, match=r"deep|row"):
        compile_regex(pattern)


@pytest.mark.parametrize(
    ("pattern", "construct"),
    [
        (r"(?<a>.)(?<b>\k<a+0>)", "level"),
        (r"(?~ab|c)", "absence operator"),
        (r"(a\1)", "inside the group"),
    ],
)
def test_a_construct_that_no_engine_knows_is_named(pattern, construct):
    with pytest.raises(RegexError, match=construct):
        compile_regex(pattern)


def test_an_error_says_where_and_how_to_mend_it():
    with pytest.raises(RegexError) as caught:
        compile_regex(r"^(?<level>\w+) (unclosed$")
    assert str(caught.value) == (
        r"'^(?<level>\\w+) (unclosed$' is not a regular expression: "
        "a closing ) is missing for the bracket opened here (at character 17)"
    )


def test_bytes_that_are_no_text_count_as_characters():
    text = b"a\xe9b \xff".decode(errors="surrogateescape")
    assert spans(r"a.b \W", text) == [(0, 5)]
    assert spans(r"[^\x00-\x7f]", text) == [(1, 2)]


def test_lookbehind_of_any_width_is_allowed():
    assert spans(r"(?<=x+)y", "axxy") == [(3, 4)]
