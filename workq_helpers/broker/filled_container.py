"""`FilledContainer`: testcontainers' container, with files in it before it starts."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from typing import Any, Self

from workq_helpers.broker.docker_engine import DockerContainer

__all__ = ["FilledContainer"]

#: Whose folder it is is who RabbitMQ runs as, and its cookie is in it.
_HOME = "/var/lib/rabbitmq"


class FilledContainer(DockerContainer):
    """A container whose files are copied in together: each copy takes Docker 50 ms.

    Args:
        image: Its image.
        files: Their texts by their paths, readable for everyone.
        cookie: Erlang's cookie, for whoever RabbitMQ runs as.
        **options: As testcontainers has them.
    """

    def __init__(self, image: str, files: Mapping[str, str] | None = None, cookie: str = "", **options: Any) -> None:
        super().__init__(image, **options)
        self._files = files or {}
        self._cookie = cookie

    def create(self) -> Any:
        """Have Docker make it."""
        # testcontainers puts a container into the network of the one that it runs in, unless it is told of one.
        told: dict[str, Any] = {"network": None} if "network_mode" in self._kwargs else {}
        self._container = self.get_docker_client().create(
            self.image,
            command=self._command,
            environment=self.env,
            ports=self.ports,
            name=self._name,
            **told,
            **self._kwargs,
        )
        return self._container

    def start(self) -> Self:
        """Start it with its files in it, made before or now."""
        made = self._container or self.create()
        if self._files:
            made.put_archive("/", _archive(self._files))
        if self._cookie:
            home = _folder_in(made, _HOME)  # nobody but its owner may read the cookie: Erlang insists
            cookie = {f"{_HOME}/.erlang.cookie": self._cookie}
            made.put_archive("/", _archive(cookie, uid=home.uid, gid=home.gid, mode=0o400))
        self.get_docker_client().start(made)
        return self


def _archive(files: Mapping[str, str], uid: int = 0, gid: int = 0, mode: int = 0o644) -> bytes:
    """Return a tar archive of these files, by default readable for everyone."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for path, text in files.items():
            content = text.encode()
            member = tarfile.TarInfo(path.lstrip("/"))
            member.uid, member.gid, member.mode, member.size = uid, gid, mode, len(content)
            archive.addfile(member, io.BytesIO(content))
    return written.getvalue()


def _folder_in(container: Any, folder: str) -> tarfile.TarInfo:
    """Return what a folder in a container is like."""
    stream, _ = container.get_archive(folder)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        return archive.getmembers()[0]
