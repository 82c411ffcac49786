"""`Album`: pictures and their thumbnails, the work of "Putting it together"; `photo` makes a picture to begin with."""

from __future__ import annotations

import io
import itertools
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image, ImageDraw, UnidentifiedImageError

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.forks import unless_forked
from workq_helpers.pictures.palette import PAPER
from workq_helpers.pictures.picture import Picture
from workq_helpers.pictures.style import WIDTH

__all__ = ["SIZES", "Album", "photo"]

#: The longest sides of a picture's thumbnails, in pixels.
SIZES = (1024, 512, 256, 128)

_PHOTO_SIZE = (3000, 2000)
_SHOWN = 6


def photo(number: int = 1) -> bytes:
    """Return a picture of six megapixels as a JPEG file: a hill under the sun.

    Args:
        number: Which; they differ in where the sun is.
    """
    width, height = _PHOTO_SIZE
    light = Image.linear_gradient("L").resize(_PHOTO_SIZE)
    green, blue = light.point(lambda value: 120 + value // 2), light.point(lambda value: 255 - value // 4)
    image = Image.merge("RGB", (light, green, blue))
    draw = ImageDraw.Draw(image)
    across = int(width * ((number * 0.37) % 0.8 + 0.1))
    draw.ellipse((across - 220, height // 3 - 220, across + 220, height // 3 + 220), fill="#ffd75e")
    draw.ellipse((-width // 4, height * 2 // 3, width * 5 // 4, height * 2), fill="#3f8f5a")
    file = io.BytesIO()
    image.save(file, "jpeg", quality=90)
    return file.getvalue()


class Album:
    """A folder with pictures and their thumbnails, which is removed when nobody holds the album any more.

    Any thread may use it. Making thumbnails a second time does no harm: a file is replaced by the same one.

    Args:
        sizes: The longest sides of the thumbnails, in pixels.
    """

    def __init__(self, sizes: Sequence[int] = SIZES) -> None:
        self.sizes = tuple(sizes)
        #: Where the files are.
        self.folder = Path(tempfile.mkdtemp(prefix="workq-album-"))
        weakref.finalize(self, unless_forked(shutil.rmtree), self.folder, ignore_errors=True)
        self._numbers = itertools.count(1)
        self._kept: list[str] = []
        self._lock = threading.Lock()

    def keep(self, picture: bytes) -> str:
        """Store a picture as it came, without looking at it, and return the name it got."""
        with self._lock:
            name = f"picture-{next(self._numbers)}"
            self._kept.append(name)
        _write(self.folder / name, picture)
        return name

    def make_thumbnails(self, name: str) -> None:
        """Make all thumbnails of a picture.

        Raises:
            InvalidArgumentError: There is no such picture, or the file is none.
        """
        if name not in self._kept:
            raise InvalidArgumentError(f"There is no picture {name!r} in this album.")
        try:
            with Image.open(io.BytesIO(self._load(name))) as image:
                whole = image.convert("RGB")
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
            raise InvalidArgumentError(f"{name} can't be read as a picture. Turn it away.") from error
        for size in self.sizes:
            scale = size / max(whole.size)
            small = whole.resize([max(1, round(side * scale)) for side in whole.size], Image.Resampling.LANCZOS)
            file = io.BytesIO()
            small.save(file, "jpeg", quality=85)
            _write(self._thumbnail(name, size), file.getvalue())

    @property
    def names(self) -> list[str]:
        """The names of all pictures, in the order in which they came."""
        return list(self._kept)

    def missing(self) -> list[str]:
        """Return the names of pictures that lack a thumbnail."""
        return [name for name in self.names if not all(self._thumbnail(name, size).exists() for size in self.sizes)]

    def sheet(self) -> Picture:
        """Return the first thumbnails, in all their sizes, as a picture."""
        shown = [name for name in self.names if name not in self.missing()][:_SHOWN]
        figure = Figure(figsize=(WIDTH, 1.4), facecolor=PAPER)
        for place, name in enumerate(shown):
            axes = figure.add_axes((place / _SHOWN, 0, 0.96 / _SHOWN, 1))
            axes.set_axis_off()
            with Image.open(self._thumbnail(name, self.sizes[-1])) as image:
                axes.imshow(image.convert("RGB"))
        of = len(self.names)
        return Picture(figure, f"{of - len(self.missing())} of {of} pictures have all {len(self.sizes)} thumbnails.")

    def __repr__(self) -> str:
        return f"<Album: {len(self.names)} pictures, {len(self.missing())} without all their thumbnails>"

    def _load(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def _thumbnail(self, name: str, size: int) -> Path:
        return self.folder / f"{name}-{size}.jpg"


def _write(path: Path, data: bytes) -> None:
    """Write a file in one step: nobody sees half a picture, however its writer ends."""
    partial = path.with_name(f".{path.name}-{threading.get_ident()}")
    partial.write_bytes(data)
    os.replace(partial, path)  # noqa: PTH105 - a rename that replaces
