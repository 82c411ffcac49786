"""Writes what needs the course's public address: `make badges REPO=https://github.com/you/course`.

The address is kept in one place, `[project.urls]` in pyproject.toml; without REPO the one that stands there is used.
From it follow the other addresses there, the one in CITATION.cff, the launch badges at the top of README.md and, on
GitHub, the way to the lessons' site and `colab/`: each lesson with a first cell that sets the course up on Google
Colab's machine.
"""

from __future__ import annotations

import argparse
import copy
import re
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

import nbformat

ROOT = Path(__file__).resolve().parent.parent
FIRST_LESSON = "00_start_here.ipynb"
BEGIN, END = "<!-- badges: `make badges` writes them -->", "<!-- end of badges -->"

_SETUP = """\
# Run this first. It sets the course up on Colab's machine, in about a minute.
![ -d /content/course ] || git clone --quiet --depth 1 --branch {branch} {url} /content/course
%run /content/course/scripts/colab.py"""


class AddressError(Exception):
    """What is wrong with an address, in a sentence."""


class Address(NamedTuple):
    """Where a repository is published.

    Attributes:
        host: Its host, such as ``github.com``.
        path: Its owner and name, such as ``you/course``.
        branch: The branch that is opened.
    """

    host: str
    path: str
    branch: str = "main"

    @classmethod
    def read(cls, text: str) -> Address:
        """Return the address in a text as browsers show it or as git takes it.

        Raises:
            AddressError: It is none.
        """
        given = re.sub(r"^(?:ssh://)?git@([^:/]+)[:/]", r"https://\1/", text.strip())
        parts = urlsplit(given)
        path, _, branch = parts.path.strip("/").partition("/tree/")
        path = path.removesuffix("/-").removesuffix(".git")
        plain = (
            parts.scheme in ("http", "https") and parts.hostname == parts.netloc and not parts.query + parts.fragment
        )
        # They become part of a command that a shell reads.
        if not plain or not re.fullmatch(r"[\w.~-]+(/[\w.~-]+)+", path) or not re.fullmatch(r"(\w[\w./-]*)?", branch):
            named = _without_login(text)
            raise AddressError(f"{named!r} is no public repository. Write it like https://github.com/you/course")
        return cls(parts.hostname, path, branch or "main")

    @property
    def url(self) -> str:
        """Where git clones it from."""
        return f"https://{self.host}/{self.path}"

    @property
    def page(self) -> str:
        """Where a browser shows the branch; `read` understands it."""
        tree = "/-/tree" if self.host == "gitlab.com" else "/tree"
        return self.url if self.branch == "main" else f"{self.url}{tree}/{self.branch}"

    @property
    def site(self) -> str:
        """Where `.github/workflows/pages.yml` publishes the lessons for playing in a browser."""
        owner, _, name = self.path.partition("/")
        host = f"{owner.lower()}.github.io"
        return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"

    def at(self, page: str) -> str:
        """Where a browser shows a page of the repository's place, such as ``issues``."""
        return f"{self.url}{'/-' if self.host == 'gitlab.com' else ''}/{page}"

    def at_branch(self, file: str) -> str:
        """Where a browser shows a file."""
        return self.at(f"blob/{self.branch}/{file}")

    @property
    def on_github(self) -> bool:
        """Whether it is where Colab and Codespaces look."""
        return self.host == "github.com"


def _without_login(text: str) -> str:
    return re.sub(r"//.*@", "//", text)


def badges(address: Address | None) -> str:
    """Return the lines between `BEGIN` and `END`."""
    if address is None:
        return ""
    providers = {"github.com": f"gh/{address.path}", "gitlab.com": f"gl/{quote(address.path, safe='')}"}
    place = providers.get(address.host, f"git/{quote(address.url, safe='')}")
    launch = f"https://mybinder.org/v2/{place}/{quote(address.branch, safe='')}?urlpath=lab"
    lines = [f"[![Launch on Binder](https://mybinder.org/badge_logo.svg)]({launch})"]
    if address.on_github:
        codespace = f"https://codespaces.new/{address.path}?ref={quote(address.branch, safe='')}"
        lines.append(f"[![Open in Codespaces](https://github.com/codespaces/badge.svg)]({codespace})")
        picture = "https://colab.research.google.com/assets/colab-badge.svg"
        lines.append(f"[![Open in Colab]({picture})]({in_colab(address, FIRST_LESSON)})")
        lines.append(f"[Play the runs in a browser]({address.site})")
    return "\n".join([*lines, ""])


def in_colab(address: Address, lesson: str) -> str:
    """Return where Colab opens a lesson."""
    return f"https://colab.research.google.com/github/{address.path}/blob/{address.branch}/colab/{lesson}"


def for_colab(address: Address, notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a lesson with a first cell that sets the course up, and links that lead to where it is published."""
    made = copy.deepcopy(notebook)
    there = f"{address.url}/blob/{address.branch}/notebooks/"
    pictures = f"{address.url}/raw/{address.branch}/notebooks/"
    for cell in made.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\]\((\w+\.ipynb)\)", lambda found: f"]({in_colab(address, found[1])})", cell.source)
            cell.source = re.sub(r"(!\[[^]]*\]\()(?!\w+:)", rf"\1{pictures}", cell.source)
            links = r"\]\((?!\w+:|#)([^)]*)"
            cell.source = re.sub(links, lambda found: f"]({urljoin(there, found[1])}", cell.source)
    setup = nbformat.v4.new_code_cell(_SETUP.format(branch=address.branch, url=address.url), id="colab")
    made.cells.insert(0, setup)
    return made


def address_in(pyproject: str) -> Address | None:
    """Return the address that pyproject.toml has."""
    found = tomllib.loads(pyproject)["project"].get("urls", {}).get("Repository")
    return Address.read(found) if found else None


def with_address(pyproject: str, address: Address) -> str:
    """Return pyproject.toml with another address, or with its first."""
    bare = re.sub(r"^\[project\.urls\]\n(?:.+\n)*\n", "", pyproject, flags=re.MULTILINE)
    pages = {"Repository": address.page, "Issues": address.at("issues"), "Changelog": address.at_branch("CHANGELOG.md")}
    if address.on_github:
        pages["Documentation"] = address.site
    section = "\n".join(["[project.urls]", *(f'{name} = "{page}"' for name, page in pages.items()), "", ""])
    return bare.replace("[project.scripts]\n", f"{section}[project.scripts]\n", 1)


def with_citation(citation: str, address: Address | None) -> str:
    """Return CITATION.cff with where the course is published."""
    bare = re.sub(r"^repository-code: .*\n", "", citation, flags=re.MULTILINE)
    return bare if address is None else f'{bare}repository-code: "{address.url}"\n'


def derived(root: Path, address: Address | None) -> dict[Path, str]:
    """Return the files that follow from an address, with what they are to hold."""
    readme = (root / "README.md").read_text(encoding="utf-8")
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        raise AddressError(f"README.md does not have the lines {BEGIN} and {END}, between which the badges go.")
    citation = root / "CITATION.cff"
    files = {
        root / "README.md": f"{before}{BEGIN}\n{badges(address)}{END}{after}",
        citation: with_citation(citation.read_text(encoding="utf-8"), address),
    }
    if address is not None and address.on_github:
        for path in sorted((root / "notebooks").glob("*.ipynb")):
            made = for_colab(address, nbformat.read(path, as_version=4))
            files[root / "colab" / path.name] = nbformat.writes(made) + "\n"
    return files


def stale(root: Path) -> list[Path]:
    """Return the files that do not hold what follows from the address in pyproject.toml."""
    address = address_in((root / "pyproject.toml").read_text(encoding="utf-8"))
    files = derived(root, address)
    left_over = set((root / "colab").glob("*")) - set(files)
    wrong = (path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text)
    return sorted({*wrong, *left_over})


def write(root: Path, given: str | None) -> list[Path]:
    """Write the files that follow from an address, and the address itself if one is given.

    Returns:
        Those that were changed.

    Raises:
        AddressError: There is no address, or it can't be understood.
    """
    pyproject = root / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    address = Address.read(given) if given else address_in(text)
    if address is None:
        raise AddressError("The course has no public address yet: make badges REPO=https://github.com/you/course")
    changed = []
    for path, wanted in {pyproject: with_address(text, address), **derived(root, address)}.items():
        if not path.exists() or path.read_text(encoding="utf-8") != wanted:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted, encoding="utf-8")
            changed.append(path)
    for path in stale(root):  # lessons of an address, or a name, that was another
        path.unlink()
        changed.append(path)
    return changed


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", nargs="?", help="such as https://github.com/you/course")
    try:
        changed = write(ROOT, parser.parse_args().repository)
    except AddressError as error:
        print(f"make badges: {error}", file=sys.stderr)
        return 1
    for path in changed:
        print(f"==> {path.relative_to(ROOT)}")
    print("==> Commit and push them: the badges open what is published there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
