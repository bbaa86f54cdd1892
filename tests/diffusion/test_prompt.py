"""The weight grammar, embeddings, chunks and ids: numerics.md, 6.2 to 6.4; models.md, 8."""

import hashlib

import pytest
import torch

from engine.diffusion.config import PRESETS
from engine.diffusion.prompt import PromptError, chunks, empty_chunk, parse_weights, token_groups
from engine.diffusion.text import VOCABULARY, tokenizer

SD1, SD2 = PRESETS["sd1"].text, PRESETS["sd2-base"].text


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("plain", [("plain", 1.0)]),
        ("", []),
        ("()", []),
        ("((d))", [("d", 1.21)]),
        ("(e (f:0.5) g:1.2)", [("e ", 1.2), ("f", 0.5), (" g", 1.2)]),
        ("(a:1.2 (b))", [("a:1.2 ", 1.1), ("b", 1.21)]),
        ("((x:1.2))", [("x", 1.2)]),
        ("(:1.4)", [(":1.4", 1.1)]),
        ("a) (b) c (d", [("a) (b) c (d", 1.0)]),
        (r"\(a\) (b\))", [("(a) ", 1.0), ("b)", 1.1)]),
        ("[a] {b|c} AND BREAK", [("[a] {b|c} AND BREAK", 1.0)]),
        ("(a: 1.5 )", [("a", 1.5)]),
        ("(a:-1e1)", [("a", -10.0)]),
        ("(a:b:2)", [("a:b", 2.0)]),
        ("(a:2:b)", [("a:2:b", 1.1)]),
        ("x(y)z", [("x", 1.0), ("y", 1.1), ("z", 1.0)]),
        ("C:\\path", [("C:\\path", 1.0)]),
    ],
)
def test_the_weight_grammar(text, pieces):
    found = parse_weights(text)
    assert [piece.text for piece in found] == [text for text, _ in pieces]
    assert [piece.weight for piece in found] == pytest.approx([weight for _, weight in pieces])


def test_braces_comments_and_newlines_are_text():
    """6.6: dynamic prompts are the editor's business; what comes with a job is not expanded. 6.2: nor are brackets."""
    for text in ("{a|b}", "{a|{b|c}} /* d */ // e", r"\{a\}", "[a:b:0.5]"):
        assert parse_weights(text) == [(text, 1.0)]


def test_hostile_nesting_is_refused_and_unclosed_nesting_is_text():
    with pytest.raises(PromptError, match="nests more than 100"):
        parse_weights("(" * 100_000 + "a" + ")" * 100_000)
    assert parse_weights("(" * 100_000) == [("(" * 100_000, 1.0)]


def test_the_vocabulary_is_openais():
    digest = hashlib.sha256(VOCABULARY.read_bytes()).hexdigest()
    assert digest == "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
    assert "MIT License" in (VOCABULARY.parent / "NOTICE.md").read_text()


def test_known_ids():
    ids = tokenizer().ids("a photo of an astronaut riding a horse on mars")
    assert ids == [320, 1125, 539, 550, 18376, 6765, 320, 4558, 525, 7496]
    assert tokenizer().ids("!") == [256]
    assert tokenizer().ids("A  PHOTO\n") == tokenizer().ids("a photo")
    assert tokenizer().ids("") == []
    assert len(tokenizer().ids("a " * 500)) == 500  # never truncated


def shape(text, config=SD1, lookup=None):
    """Tokens per chunk, without start, end and padding."""
    made = chunks(token_groups(text, tokenizer().ids, lookup), config)
    assert all(len(chunk) == config.max_length and chunk[0] == (config.start_id, 1.0) for chunk in made)
    counts = []
    for chunk in made:
        ids = [token if isinstance(token, int) else -1 for token, _ in chunk]
        end = ids.index(config.end_id)
        assert set(ids[end + 1 :]) <= {config.pad_id}
        counts.append(end - 1)
    return counts


def test_chunks_fill_up_and_small_groups_move_whole():
    assert shape("cat " * 100) == [75, 25]
    assert shape("cat " * 72 + "(cat cat cat cat cat)") == [72, 5]
    assert shape("cat " * 72 + "(" + "cat " * 8 + ")") == [75, 5]
    assert shape("cat " * 75) == [75]
    assert shape("cat " * 76) == [75, 1]
    assert shape("") == [0]


def test_the_families_pad_differently():
    assert empty_chunk(SD1)[2:] == ((49407, 1.0),) * 75
    assert empty_chunk(SD2)[2:] == ((0, 1.0),) * 75
    assert empty_chunk(SD2)[:2] == ((49406, 1.0), (49407, 1.0))


ROWS = torch.arange(6.0).reshape(3, 2)


def lookup(name):
    return {"foo": ROWS, "bar,": ROWS[:1]}.get(name)


def tokens(text):
    return [
        [("row" if not isinstance(token, int) else token, weight) for token, weight in group]
        for group in token_groups(text, tokenizer().ids, lookup)
    ]


CAT = tokenizer().ids("cat")[0]


def test_embeddings_become_rows_with_the_weight_around_them():
    """6.3: a piece is split at " embedding:" and "\\nembedding:"; every row is one token with the piece's weight."""
    row = [("row", 1.0)] * 3
    assert tokens("embedding:foo") == [row]
    assert tokens("cat embedding:foo cat") == [[(CAT, 1.0)], row, [(CAT, 1.0)]]
    assert tokens("cat\nembedding:foo") == [[(CAT, 1.0)], row]
    assert tokens("(embedding:foo:1.2)") == [[("row", 1.2)] * 3]
    assert tokens("embedding:bar,") == [[("row", 1.0)]]


def test_commas_around_a_name_are_text_when_no_file_has_them():
    """6.3: if no file matches, commas are stripped from both ends of the name; the removed tail is text."""
    comma = tokenizer().ids(",")[0]
    assert tokens("embedding:foo, cat") == [[("row", 1.0)] * 3, [(comma, 1.0), (CAT, 1.0)]]


def test_an_embedding_inside_a_word_is_text_and_an_unknown_one_is_dropped(caplog):
    assert all(token != "row" for group in tokens("x,embedding:foo") for token, _ in group)
    assert tokens("embedding:nothing cat") == [[(CAT, 1.0)]]
    assert "no embedding is called 'nothing'" in caplog.text
    with pytest.raises(PromptError, match="followed by no name"):
        tokens("cat embedding: ")
