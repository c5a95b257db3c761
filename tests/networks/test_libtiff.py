"""What libtiff says of a picture: heard as damage, kept from stderr, and left to others where it is theirs."""

import io
import threading

import numpy as np
import pytest
from PIL import Image

from dn2.errors import UnreadableItem
from dn2.networks import libtiff
from dn2.networks.decoding import open_decoded

pytestmark = pytest.mark.skipif(not libtiff.HANDLERS, reason="this build of Pillow hides its libtiff")
NOISE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (60, 90, 3), np.uint8))


def size_of(data):
    """Decode, and return the size."""
    with open_decoded(data) as image:
        return image.size


def fax(damaged):
    """Encode black and white as CCITT group 4."""
    encoded = io.BytesIO()
    NOISE.convert("1").save(encoded, "TIFF", compression="group4")
    data = bytearray(encoded.getvalue())
    for place in range(60, 500, 97) if damaged else ():
        data[place] ^= 0xFF
    return bytes(data)


def test_a_damaged_fax_is_unreadable_and_writes_nothing_to_stderr(capfd):
    with pytest.raises(UnreadableItem, match=r"^damaged picture: Fax4Decode: Bad code word at line \d+ of strip 0"):
        size_of(fax(damaged=True))
    assert size_of(fax(damaged=False)) == (90, 60)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
@pytest.mark.parametrize("rows", [slice(500, 560), slice(500, None)])
def test_a_fax_of_which_a_stretch_is_lost_is_unreadable(capfd, compression, rows):
    """Most such damage libtiff only warns of, or that it ends early, and leaves the rows white."""
    encoded = io.BytesIO()
    NOISE.convert("1").save(encoded, "TIFF", compression=compression)
    data = bytearray(encoded.getvalue())
    tags = Image.open(encoded).tag_v2
    start, end = tags[273][0] + rows.start, tags[273][0] + min(rows.stop or sum(tags[279]), sum(tags[279]))
    assert size_of(bytes(data)) == (90, 60)
    data[start:end] = bytes(end - start)
    with pytest.raises(UnreadableItem, match="damaged picture: Fax"):
        size_of(bytes(data))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma", "group3"]
)
def test_no_damaged_tiff_writes_to_stderr(capfd, compression):
    encoded = io.BytesIO()
    smooth = NOISE.resize((9, 6)).resize(NOISE.size)  # noise is stored as it is, where no damage shows
    smooth.convert("1" if compression == "group3" else "RGB").save(encoded, "TIFF", compression=compression)
    data, outcomes = bytearray(encoded.getvalue()), set()
    rng = np.random.default_rng(1)
    for _ in range(10):
        damaged = data.copy()
        for place in rng.integers(8, len(data) - 300, 30):
            damaged[place] ^= 0xFF
        try:
            outcomes.add(size_of(bytes(damaged)))
        except UnreadableItem as error:
            outcomes.add(str(error)[:8])
    assert "damaged " in outcomes or compression in ("packbits", "jpeg")
    assert capfd.readouterr().err == ""


def test_threads_hear_of_their_own_picture_only():
    outcomes = {}

    def read(number):
        for _ in range(20):
            try:
                outcomes.setdefault(number, set()).add(size_of(fax(damaged=number % 2 == 0)))
            except UnreadableItem as error:
                outcomes.setdefault(number, set()).add(str(error)[:27])

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert outcomes == {
        number: {"damaged picture: Fax4Decode"[:27]} if number % 2 == 0 else {(90, 60)} for number in range(4)
    }


def test_a_program_that_uses_dn2_still_sees_what_libtiff_says_of_its_own_pictures(capfd):
    with pytest.raises(UnreadableItem):
        size_of(fax(damaged=True))
    Image.open(io.BytesIO(fax(damaged=True))).load()
    assert "Fax4Decode" in capfd.readouterr().err
