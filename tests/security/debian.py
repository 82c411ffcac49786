"""A repository of Debian packages, signed, on loopback: what apt asks when packages are unpacked without root."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support import need

__all__ = ["Repository", "repository"]

_RUNS = b"#!/bin/sh\nexit 0\n"
_SERVER = "usr/lib/rabbitmq/lib/rabbitmq_server-4.0.5"

#: What is just enough of a server, by package: each file's path and content.
_PACKAGES: Mapping[str, Mapping[str, bytes]] = {
    "erlang-base": {
        "usr/lib/erlang/bin/erl": _RUNS,
        "usr/lib/erlang/bin/epmd": _RUNS,
        "usr/lib/erlang/erts-15/bin/erlexec": _RUNS,
    },
    "rabbitmq-server": {
        f"{_SERVER}/sbin/rabbitmq-server": _RUNS,
        f"{_SERVER}/plugins/rabbit-4.0.5/ebin/rabbit.app": b"",
    },
}


class Repository:
    """A folder with packages, their index, and a signature over that.

    Args:
        folder: A folder of its own.
    """

    def __init__(self, folder: Path) -> None:
        self.served = folder / "served"
        self._folder = folder
        self._home = Path(tempfile.mkdtemp(prefix="wq-gnupg-"))  # gpg's sockets are in it: their paths must be short
        for made in (self.served, folder / "state" / "lists" / "partial", folder / "cache"):
            made.mkdir(mode=0o700, parents=True)
        self.key = self._new_key("packages@example.org")
        (folder / "key.gpg").write_bytes(self._gpg("--export", self.key))
        for name, files in _PACKAGES.items():
            self.put(name, files)
        self.publish()

    def put(self, name: str, files: Mapping[str, bytes], *members: tarfile.TarInfo) -> None:
        """Make a package of these files, and of members of a tar archive that are as odd as one likes."""
        data, control = io.BytesIO(), io.BytesIO()
        with tarfile.open(fileobj=data, mode="w:gz") as archive:
            for member in members:
                archive.addfile(member, io.BytesIO(b"planted") if member.size else None)
            for path, content in files.items():
                archive.addfile(_member(f"./{path}", content), io.BytesIO(content))
        about = self._about(name).encode()
        with tarfile.open(fileobj=control, mode="w:gz") as archive:
            archive.addfile(_member("./control", about), io.BytesIO(about))
        parts = {
            "debian-binary": b"2.0\n",
            "control.tar.gz": control.getvalue(),
            "data.tar.gz": data.getvalue(),
        }
        self.package(name).write_bytes(b"!<arch>\n" + b"".join(_part(*part) for part in parts.items()))

    def package(self, name: str) -> Path:
        return self.served / f"{name}_4.0.5-1_all.deb"

    def publish(self, key: str | None = None) -> None:
        """Write the index of the packages and sign it; with no key of ours, or with none at all if it is ``""``."""
        (self.served / "Packages").write_text("\n".join(self._row(name) for name in _PACKAGES))
        index = (self.served / "Packages").read_bytes()
        release = (
            "Origin: Test\nSuite: stable\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n"
            f"SHA256:\n {_sha256(index)} {len(index)} Packages\n"
        )
        (self.served / "Release").write_text(release)
        (self.served / "InRelease").unlink(missing_ok=True)
        if key != "":
            command = ("--clearsign", "--local-user", key or self.key, "--output", str(self.served / "InRelease"))
            self._gpg(*command, str(self.served / "Release"))

    def another_key(self) -> str:
        """Make a key that nobody has been told of."""
        return self._new_key("somebody@example.org")

    def environ(self, port: int) -> dict[str, str]:
        """Return an environment in which apt knows this repository and no other."""
        sources = self._folder / "sources.list"
        sources.write_text(f"deb [signed-by={self._folder}/key.gpg] http://127.0.0.1:{port}/ ./\n")
        settings = {
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": "/dev/null",
            "Dir::Etc::sourcelist": str(sources),
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State": str(self._folder / "state"),
            "Dir::State::status": "/dev/null",
            "Dir::Cache": str(self._folder / "cache"),
            "Acquire::http::Proxy::127.0.0.1": "DIRECT",
            "Acquire::Languages": "none",
            "Acquire::Retries": "0",
        }
        conf = self._folder / "apt.conf"
        conf.write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))
        return dict(os.environ) | {"APT_CONFIG": str(conf)}

    def _row(self, name: str) -> str:
        content = self.package(name).read_bytes()
        where = f"Filename: ./{self.package(name).name}\nSize: {len(content)}\nSHA256: {_sha256(content)}\n"
        return self._about(name) + where

    def _about(self, name: str) -> str:
        depends = "Depends: erlang-base\n" if name == "rabbitmq-server" else ""
        return (
            f"Package: {name}\nVersion: 4.0.5-1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\n"
            f"{depends}Description: stands in for the real one\n"
        )

    def _new_key(self, address: str) -> str:
        self._gpg("--passphrase", "", "--quick-generate-key", address, "rsa3072", "sign", "never")
        told = self._gpg("--with-colons", "--list-keys", address).decode()
        return next(line.split(":")[9] for line in told.splitlines() if line.startswith("fpr"))

    def _gpg(self, *arguments: str) -> bytes:
        command = ["gpg", "--homedir", str(self._home), "--batch", "--quiet", "--no-tty", *arguments]
        return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout

    def close(self) -> None:
        """End gpg's helper, and remove its folder."""
        subprocess.run(
            ["gpgconf", "--homedir", str(self._home), "--kill", "all"], capture_output=True, check=False, timeout=60
        )
        shutil.rmtree(self._home, ignore_errors=True)


@contextlib.contextmanager
def repository(folder: Path) -> Iterator[tuple[Repository, dict[str, str]]]:
    """Serve a repository, and give the environment in which apt finds it."""
    for program in ("gpg", "apt-get", "dpkg-deb"):
        need(shutil.which(program), f"there is no {program} here")
    made = Repository(folder)
    handler = functools.partial(_Quiet, directory=str(made.served))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made, made.environ(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        made.close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def _member(path: str, content: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.size, member.mode = len(content), 0o755
    return member


def _part(name: str, content: bytes) -> bytes:
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
    return header.encode() + content + b"\n" * (len(content) % 2)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
