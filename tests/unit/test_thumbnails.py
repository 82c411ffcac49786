from __future__ import annotations

import gc
import io

import pytest
from PIL import Image

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.lessons.putting_it_together.thumbnails import Album, photo


def small_picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (60, 40), "green").save(file, "jpeg")
    return file.getvalue()


def test_a_photo_is_large_and_no_two_are_alike() -> None:
    with Image.open(io.BytesIO(photo(1))) as image:
        assert (image.format, image.size) == ("JPEG", (3000, 2000))
    assert photo(1) != photo(2)


def test_a_picture_gets_a_thumbnail_in_each_size() -> None:
    album = Album(sizes=(30, 6))
    name = album.keep(small_picture())
    assert album.missing() == [name] == ["picture-1"]
    assert repr(album) == "<Album: 1 pictures, 1 without all their thumbnails>"
    album.make_thumbnails(name)
    assert album.missing() == []
    sizes = []
    for size in album.sizes:
        with Image.open(album.folder / f"{name}-{size}.jpg") as image:
            sizes.append(image.size)
    assert sizes == [(30, 20), (6, 4)]


def test_a_second_time_changes_nothing() -> None:
    album = Album(sizes=(30,))
    name = album.keep(small_picture())
    album.make_thumbnails(name)
    before = {path.name: path.read_bytes() for path in album.folder.iterdir()}
    album.make_thumbnails(name)
    assert {path.name: path.read_bytes() for path in album.folder.iterdir()} == before


def test_what_is_no_picture_is_kept_and_not_made_small() -> None:
    album = Album()
    name = album.keep(b"Dear kitchen")
    with pytest.raises(ValueError, match="picture-1 can't be read as a picture"):
        album.make_thumbnails(name)
    assert album.missing() == [name]


@pytest.mark.parametrize("name", ["picture-9", "../picture-1", ""])
def test_names_that_the_album_did_not_give_are_refused(name: str) -> None:
    album = Album()
    album.keep(small_picture())
    with pytest.raises(InvalidArgumentError, match="no picture"):
        album.make_thumbnails(name)


def test_the_sheet_says_how_many_are_done() -> None:
    album = Album(sizes=(8,))
    album.make_thumbnails(album.keep(small_picture()))
    album.keep(small_picture())
    assert repr(album.sheet()) == "1 of 2 pictures have all 1 thumbnails."
    assert len(album.sheet().figure.axes) == 1


def test_the_folder_goes_with_its_album() -> None:
    album = Album()
    folder = album.folder
    album.keep(small_picture())
    del album
    gc.collect()
    assert not folder.exists()
