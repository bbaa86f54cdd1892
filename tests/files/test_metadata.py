"""Texts in PNG, WebP and safetensors files, well-formed and hostile."""

import io
import json
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from engine.files import metadata
from engine.files.metadata import MetadataError, read_exif, read_metadata, write_webp_exif

PROMPT = json.dumps({"3": {"class_type": "KSampler", "inputs": {"seed": 2**64 - 1, "text": "Grüße 猫"}}})
WORKFLOW = json.dumps({"nodes": [], "links": []})


def png(*chunks, end=True):
    """A PNG's signature and chunks: (kind, data) pairs; checksums are right."""
    parts = [metadata.PNG]
    for kind, data in [(b"IHDR", b"\0" * 13), *chunks, *([(b"IEND", b"")] if end else [])]:
        parts.append(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
    return b"".join(parts)


def picture(form, **options):
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, form, **options)
    return file.getvalue()


def test_the_texts_that_pillow_writes_into_a_png_are_read():
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", PROMPT)
    info.add_text("workflow", WORKFLOW, zip=True)
    info.add_itxt("other", "Grüße 猫", zip=True)
    info.add_itxt("more", "plain 猫", "de", "mehr")
    assert read_metadata(picture("PNG", pnginfo=info)) == {
        "prompt": PROMPT, "workflow": WORKFLOW, "other": "Grüße 猫", "more": "plain 猫"}


def test_a_file_may_be_given_by_its_path(tmp_path):
    (tmp_path / "a.png").write_bytes(png((b"tEXt", b"prompt\0{}")))
    assert read_metadata(tmp_path / "a.png") == {"prompt": "{}"}


def test_each_kind_of_text_chunk_is_read():
    chunks = [(b"tEXt", b"a\0one"), (b"zTXt", b"b\0\0" + zlib.compress(b"two")),
              (b"iTXt", b"c\0\0\0\0\0three"), (b"iTXt", b"d\0\1\0en\0key\0" + zlib.compress("vier 猫".encode())),
              (b"comf", b"e\0five"), (b"eXIf", b"no\0text"), (b"tEXt", b"date:create\x002024")]
    assert read_metadata(png(*chunks)) == {
        "a": "one", "b": "two", "c": "three", "d": "vier 猫", "e": "five", "date:create": "2024"}


def test_texts_behind_the_picture_data_are_read():
    assert read_metadata(png((b"IDAT", b"x" * 1000), (b"tEXt", b"a\0one"))) == {"a": "one"}


def test_latin_1_is_read_where_the_text_is_no_utf_8():
    assert read_metadata(png((b"tEXt", b"a\0caf\xe9"))) == {"a": "café"}


def test_wrong_checksums_are_tolerated():
    data = bytearray(png((b"tEXt", b"a\0one")))
    data[29:33] = b"????"  # IHDR's
    data[-16:-12] = b"????"  # tEXt's
    assert read_metadata(bytes(data)) == {"a": "one"}


def test_a_picture_that_ends_early_still_gives_its_texts():
    whole = png((b"tEXt", b"a\0one"), (b"IDAT", b"x" * 1000))
    start = whole.index(b"IDAT")
    for length in (start - 4, start, start + 4, start + 500, len(whole) - 5):
        assert read_metadata(whole[:length]) == {"a": "one"}


def test_a_text_that_is_cut_off_is_refused():
    whole = png((b"tEXt", b"a\0" + b"x" * 1000))
    with pytest.raises(MetadataError, match=r"the tEXt chunk at byte 33 is cut off: it has 46\d of 1002 bytes"):
        read_metadata(whole[:510])


def test_a_packed_text_that_is_cut_off_is_refused():
    packed = zlib.compress(bytes(range(256)) * 10)[:-20]
    with pytest.raises(MetadataError, match="cut off"):
        read_metadata(png((b"zTXt", b"a\0\0" + packed)))


def test_a_packed_text_that_is_garbage_is_refused():
    with pytest.raises(MetadataError, match="cannot be unpacked"):
        read_metadata(png((b"zTXt", b"a\0\0garbage")))
    with pytest.raises(MetadataError, match="method 7"):
        read_metadata(png((b"zTXt", b"a\0\7garbage")))
    with pytest.raises(MetadataError, match="method 7"):
        read_metadata(png((b"iTXt", b"a\0\1\7\0\0garbage")))


@pytest.mark.parametrize("kind, head", [(b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0")])
def test_a_decompression_bomb_is_refused_before_it_unpacks(kind, head, monkeypatch):
    """4 MiB of zeros in 4 KiB; with the limit at 1 MiB no more than that is ever unpacked."""
    monkeypatch.setattr(metadata, "MAX_TEXT", 2**20)
    with pytest.raises(MetadataError, match="too long"):
        read_metadata(png((kind, head + zlib.compress(b"\0" * 2**22))))


def test_the_real_limit_stops_a_gibibyte():
    unit = zlib.compressobj()
    bomb = b"".join(unit.compress(bytes(2**20)) for _ in range(64)) + unit.flush()
    assert len(bomb) < 100_000
    with pytest.raises(MetadataError, match="too long"):
        read_metadata(png((b"zTXt", b"a\0\0" + bomb)))


def test_many_bombs_share_one_limit(monkeypatch):
    monkeypatch.setattr(metadata, "MAX_TOTAL", 2**20)
    bombs = [(b"zTXt", b"%d\0\0" % index + zlib.compress(b"\0" * 2**18)) for index in range(5)]
    with pytest.raises(MetadataError, match="too long"):
        read_metadata(png(*bombs))
    assert len(read_metadata(png(*bombs[:3]))) == 3


def test_a_chunk_that_claims_4_gib_is_refused_or_skipped():
    head = png(end=False)
    with pytest.raises(MetadataError, match="cut off"):
        read_metadata(head + struct.pack(">I", 2**32 - 1) + b"tEXt" + b"a\0b")
    assert read_metadata(head + struct.pack(">I", 2**32 - 1) + b"IDAT" + b"a\0b") == {}


@pytest.mark.parametrize("chunk", [(b"tEXt", b""), (b"tEXt", b"no separator"), (b"zTXt", b"a\0"), (b"zTXt", b""),
                                   (b"iTXt", b"a\0"), (b"iTXt", b"a\0\0\0no more"), (b"iTXt", b"")])
def test_a_text_chunk_without_a_text_is_skipped(chunk):
    assert read_metadata(png(chunk, (b"tEXt", b"a\0one"))) == {"a": "one"}


@pytest.mark.parametrize("data", [b"", b"x", b"GIF89a" + bytes(100), b"RIFF\0\0\0\0WAVE", bytes(100)])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(MetadataError, match="no PNG, WebP, JPEG or safetensors file"):
        read_metadata(data)


# -- WebP --------------------------------------------------------------------------------------------------------


def webp(exif):
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 9) + bytes(10) + b"EXIF" + struct.pack("<I", len(exif)) + exif
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff(order, *entries):
    """A directory of ASCII tags in either byte order."""
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HIH", 42, 8, len(entries))
    position, table, values = 8 + 2 + 12 * len(entries) + 4, b"", b""
    for tag, value in entries:
        if len(value) <= 4:
            table += struct.pack(f"{order}HHI", tag, 2, len(value)) + value.ljust(4, b"\0")
        else:
            table += struct.pack(f"{order}HHII", tag, 2, len(value), position + len(values))
            values += value
    return head + table + bytes(4) + values


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_exif_is_read_in_both_byte_orders_with_and_without_prefix(order, prefix):
    data = tiff(order, (0x010D, b"extra:more\0"), (0x010E, b"third:a:b\0"), (0x010F, b"workflow:{}\0"),
                (0x0110, b'prompt:{"1": 2}\0'), (0x0131, b"other:software\0"))
    assert read_metadata(webp(prefix + data)) == {
        "prompt": '{"1": 2}', "workflow": "{}", "third": "a:b", "extra": "more"}


def test_a_cameras_tags_without_a_colon_are_no_texts():
    assert read_exif(tiff("<", (0x010F, b"Canon\0"), (0x0110, b"EOS\0"))) == {}


def test_texts_written_as_exif_are_read_from_a_real_webp():
    texts = {"workflow": WORKFLOW, "prompt": PROMPT, "a": "", "zusatz": "Grüße 猫"}
    data = picture("WEBP", exif=write_webp_exif(texts))
    assert read_metadata(data) == texts
    exif = Image.open(io.BytesIO(data)).getexif()
    assert exif[0x0110].startswith("prompt:{") and exif[0x010F].startswith("workflow:{")


def test_a_webp_without_exif_has_no_texts():
    assert read_metadata(picture("WEBP")) == {}


@pytest.mark.parametrize("exif, message", [
    (b"", "begins with II or MM"), (b"XX\0\0\0\0\0\0", "begins with II or MM"),
    (b"II*\0" + struct.pack("<I", 10**6), "no directory"), (b"II\0\0" + struct.pack("<I", 8) + b"\0\0", "no directory"),
    (b"II*\0" + struct.pack("<IH", 8, 60_000), "cut off after 0 of 60000"),
    (b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x0110, 2, 2**31, 8), "cut off"),
])
def test_malformed_exif_is_refused(exif, message):
    with pytest.raises(MetadataError, match=message):
        read_metadata(webp(exif))


def test_many_tags_that_share_one_long_text_are_bounded(monkeypatch):
    monkeypatch.setattr(metadata, "MAX_TOTAL", 10**6)
    entries = b"".join(struct.pack("<HHII", 0x0110, 2, 60_000, 8) for _ in range(6000))
    with pytest.raises(MetadataError, match="too long"):
        read_exif(b"II*\0" + struct.pack("<IH", 8, 6000) + entries)


def test_more_texts_than_tags_are_refused():
    with pytest.raises(ValueError, match="room for 272 texts"):
        write_webp_exif({str(index): "" for index in range(1000)})


# -- safetensors -------------------------------------------------------------------------------------------------


def latent(header):
    return struct.pack("<Q", len(header)) + header + bytes(16)


def test_the_texts_of_a_latent_are_read():
    header = json.dumps({"__metadata__": {"prompt": PROMPT}, "latent": {"dtype": "F32", "shape": [4],
                                                                         "data_offsets": [0, 16]}}).encode()
    assert read_metadata(latent(header)) == {"prompt": PROMPT}
    assert read_metadata(latent(b"{}      ")) == {}


@pytest.mark.parametrize("data, message", [
    (struct.pack("<Q", 2**63) + b"{}" + bytes(10), "claims 9223372036854775808 bytes"),
    (struct.pack("<Q", 100) + b"{}" + bytes(10), "claims 100 bytes"),
    (latent(b"{" * 100), "malformed"),
    (latent(b'{"__metadata__": 5}'), "malformed"),
    (latent(b'{"__metadata__": {"prompt": 5}}'), "malformed"),
    (latent(b'{"a": ' + b"[" * 200_000), "malformed|nested"),
])
def test_a_malformed_header_is_refused(data, message):
    with pytest.raises(MetadataError, match=message):
        read_metadata(data)


# -- anything ----------------------------------------------------------------------------------------------------

SOUND = [png((b"tEXt", b"a\0one"), (b"zTXt", b"b\0\0" + zlib.compress(b"two")), (b"iTXt", b"c\0\1\0\0\0" +
         zlib.compress(b"x"))), webp(write_webp_exif({"prompt": "{}", "workflow": "[]"})),
         latent(b'{"__metadata__": {"prompt": "x"}}')]


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.sampled_from(SOUND), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6),
       st.integers(0, 250))
def test_damaged_files_give_texts_or_a_metadata_error(data, changes, length):
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    try:
        found = read_metadata(bytes(damaged[:length]))
    except MetadataError as error:
        assert str(error)
    else:
        assert all(isinstance(key, str) and isinstance(value, str) for key, value in found.items())


# -- JPEG, and A1111's comment -----------------------------------------------------------------------------------

A1111 = "a red cube, Grüße 猫\nNegative prompt: blur\nSteps: 20, Sampler: Euler a, Size: 512x512, Seed: 5"


def commented(comment, order="<"):
    """EXIF data whose one text is a UserComment: first directory → EXIF directory → comment."""
    head = {"<": b"II", ">": b"MM"}[order]
    first = struct.pack(f"{order}HIHHHIII", 42, 8, 1, 0x8769, 4, 1, 26, 0)
    second = struct.pack(f"{order}HHHIII", 1, 0x9286, 7, len(comment), 44, 0)
    return head + first + second + comment


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
@pytest.mark.parametrize("comment", [
    b"UNICODE\0" + A1111.encode("utf-16-be"), b"UNICODE\0" + A1111.encode("utf-16-le"),
    b"ASCII\0\0\0" + A1111.encode(), bytes(8) + A1111.encode() + b"\0\0",
])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a1111s_text_is_read_out_of_the_comment_in_every_order(form, comment, order):
    data = commented(comment, order)
    exif = data if form == "WEBP" else b"Exif\0\0" + data
    assert read_metadata(picture(form, exif=exif)) == {"parameters": A1111}


def test_texts_written_as_exif_are_read_from_a_real_jpeg_after_other_segments():
    texts = {"workflow": WORKFLOW, "prompt": PROMPT}
    data = picture("JPEG", exif=b"Exif\0\0" + write_webp_exif(texts), comment=b"a comment")
    assert read_metadata(data) == texts
    other = b"\xff\xe1" + struct.pack(">H", 20) + b"http://ns.adobe.co"  # XMP, in a segment of the same kind
    assert read_metadata(data[:2] + other + b"\xff\xff" + data[3:]) == texts


def test_a_comment_that_says_what_it_is_keeps_its_name():
    for name in ("prompt", "workflow"):
        assert read_exif(commented(b"ASCII\0\0\0" + f"{name}:{{}}".encode())) == {name: "{}"}


def test_a_jpeg_without_exif_or_cut_off_before_it_has_no_texts():
    whole = picture("JPEG", exif=b"Exif\0\0" + write_webp_exif({"prompt": PROMPT}))
    assert read_metadata(picture("JPEG")) == {}
    for end in (3, 4, 10, 20):
        assert read_metadata(whole[:end].ljust(12, b"\xff")) == {}
    with pytest.raises(MetadataError, match="cut off"):
        read_metadata(whole[:60])


@pytest.mark.parametrize("data", [
    commented(b"JIS\0\0\0\0\0" + b"x"), commented(b"short"),
    b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, 10**6, 0),
])
def test_comments_in_an_unknown_code_and_directories_that_are_nowhere_are_left_alone(data):
    assert read_exif(data) == {}


def test_a_comment_beyond_the_end_is_refused():
    data = bytearray(commented(b"ASCII\0\0\0" + b"x" * 20))
    with pytest.raises(MetadataError, match="cut off"):
        read_exif(bytes(data[:50]))
