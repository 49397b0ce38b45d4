"""The pages for people: each command in them runs and prints what the page shows, and each link leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from network import Network, Node
from servers import require
from sshd import Sshd
from transcripts import Sandbox, commands, lacking

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture
def sandbox(net: Network) -> Iterator[Sandbox]:
    require("sshd")
    with Sshd(net.root / "sshd", net.root / "far") as sshd:
        (net.root / "far").mkdir()
        (net.root / "far" / ".gitconfig").write_text((net.home / ".gitconfig").read_text())
        with (sshd.root / "ssh_config").open("a") as config:
            config.write(f"    Port {sshd.port}\n")
        sshd.join(net)
        sandbox = Sandbox(net)
        yield sandbox
        sandbox.close()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(
    ("page", "least"), [("README", 8), ("docs/tutorial", 40), ("docs/recipes", 30), ("docs/troubleshooting", 15)]
)
def test_each_command_of_a_page_runs(sandbox: Sandbox, page: str, least: int) -> None:
    assert sandbox.tell(ROOT / f"{page}.md") >= least


def test_nothing_is_left(sandbox: Sandbox, net: Network) -> None:
    node = net.create("annex")
    node.commit({"a.txt": "a\n"})
    before = snapshot(node)
    sandbox.enter(node.path)
    net.connect((node, net.clone(node, "nas", bare=True)))
    for words in (("hooks", "install"), ("merge-driver", "install"), ("sync",)):
        node.syncx(*words)
    node.config("syncx.retries", "2")
    node.config("remote.nas.syncx-bwlimit", "2M")
    assert sandbox.tell(ROOT / "docs" / "uninstall.md") > 7
    node.git("remote", "remove", "nas")
    assert snapshot(node) == before


def snapshot(node: Node) -> tuple[list[str], list[str], list[str]]:
    """The configuration, the hooks and the refs that are not git-annex's, nor of remotes."""
    hooks = [f"{path.name}: {path.read_text()}" for path in sorted((node.git_dir / "hooks").iterdir())]
    refs = node.git("for-each-ref", "--format=%(refname)").out.split()
    config = sorted(node.git("config", "--local", "--list").out.splitlines())
    return config, hooks, [ref for ref in refs if "syncx" in ref]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        file = (page.parent / name) if name else page
        assert file.exists(), f"{page.name}: {target}"
        if heading and file.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            known = {re.sub(r"[^\w -]", "", one).strip().lower().replace(" ", "-") for one in headings}
            assert heading in known, f"{page.name}: {target}"


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 1200


def test_what_a_page_shows_is_compared() -> None:
    page = "Text\n\n```console\n$ false  # exit 1\n$ echo one; echo two\none\n...\n```\n<!-- run\ntrue\n-->\n"
    told = list(commands(page))
    assert [(one.line, one.words, one.code, one.shown) for one in told] == [
        (4, "false", 1, []), (5, "echo one; echo two", 0, ["one", "..."]), (10, "true\n", 0, []),
    ]  # fmt: skip
    assert lacking(["done 1.5s", "two"], "done  0.2s\nthree\ntwo\n") is None
    assert lacking(["two", "one"], "one\ntwo\n") == "one"
