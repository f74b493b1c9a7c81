"""Sample pictures are decoded, never passed on."""

import io

from PIL import Image, PngImagePlugin

from reports import figures


def test_a_sample_picture_is_decoded_not_passed_on():
    out, hidden = io.BytesIO(), PngImagePlugin.PngInfo()
    hidden.add_text("secret", "hidden")
    Image.new("RGB", (20, 10), "red").save(out, "PNG", pnginfo=hidden)
    kept = figures.compact_picture(out.getvalue())
    assert kept is not None
    assert b"hidden" not in kept
    assert Image.open(io.BytesIO(kept)).size == (20, 10)
    large = io.BytesIO()
    Image.new("1", (5000, 1)).save(large, "PNG")
    gif = io.BytesIO()
    Image.new("L", (9, 9)).save(gif, "GIF")
    assert [figures.compact_picture(data) for data in (b"", b"no", large.getvalue(), gif.getvalue())] == [None] * 4
