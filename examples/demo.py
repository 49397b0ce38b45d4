"""The main job of git-annex-syncx on a throw-away network of five real repositories.

Run by `make demo`. Everything happens in a temporary directory, which is removed at the end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.tree import Tree

PROGRAMS = Path(sys.executable).parent
# A directory costs 100 by itself; these play that they are far away.
PATIENCE = 60  # seconds until what runs by itself must have come
CALM = 1.0  # seconds without a process of the hooks, until none is thought to come
FAR = {"laptop": ("desktop", "nas", "server"), "desktop": ("laptop",)}
console = Console(highlight=False, width=min(110, Console().width))


class Place:
    """One of the repositories of the network."""

    def __init__(self, root: Path, name: str) -> None:
        self.path = root / name
        self.env = {
            "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(root),
            "XDG_RUNTIME_DIR": str(root),
            "GIT_CONFIG_NOSYSTEM": "1",
            "LC_ALL": "C.UTF-8",
        }

    def run(self, *words: str) -> str:
        """Run a command there without showing it."""
        done = subprocess.run(words, cwd=self.path, env=self.env, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(words)} in {self.path.name} failed:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def shown(self, *words: str) -> None:
        """Show a command, run it, show what it says."""
        console.print(f"  [bold]{self.path.name}[/]$ [cyan]{' '.join(words)}[/]")
        begun = time.monotonic()
        done = subprocess.run(
            words, cwd=self.path, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        for line in (done.stdout + done.stderr).splitlines():
            console.print(f"    [dim]{line.removeprefix('git-annex-syncx: ')}[/]", markup=True)
        console.print(f"    [dim](exit {done.returncode}, {time.monotonic() - begun:.1f} s)[/]\n")

    def write(self, name: str, content: str) -> None:
        """Write a file of the work tree."""
        (self.path / name).write_text(content)

    def add_photo(self, name: str, size: int) -> None:
        """Add a file of this size to the annex, and commit it."""
        (self.path / name).write_bytes(os.urandom(size))
        self.run("git", "annex", "add", "--quiet", name)
        self.run("git", "commit", "--quiet", "--message", name)


def init(root: Path, name: str, *, bare: bool = False, origin: Place | None = None) -> Place:
    """A repository with git-annex, a clone where an origin is given."""
    place = Place(root, name)
    place.path.mkdir(parents=True)
    if origin and not bare:
        place.run("git", "clone", "--quiet", "--origin", origin.path.name, str(origin.path), ".")
    else:
        place.run("git", "init", "--quiet", *(["--bare"] if bare else []))
    place.run("git", "annex", "init", "--quiet", name)
    return place


def build(root: Path) -> dict[str, Place]:
    """Laptop, desktop, NAS (bare), USB drive and server (bare), all knowing what they would know in life."""
    (root / ".gitconfig").write_text(
        "[user]\n\tname = You\n\temail = you@example.org\n[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n"
    )
    places = {"laptop": init(root, "laptop")}
    places["laptop"].write("notes.txt", "Milk\nBread\n")
    places["laptop"].run("git", "-c", "annex.largefiles=nothing", "annex", "add", "--quiet", "notes.txt")
    places["laptop"].run("git", "commit", "--quiet", "--message", "First notes")
    for name in ("desktop", "usb"):
        places[name] = init(root, name, origin=places["laptop"])
    for name in ("nas", "server"):
        places[name] = init(root, name, bare=True)
    for here, others in {
        "laptop": ("desktop", "nas", "usb", "server"),
        "desktop": ("nas", "server"),
        "usb": (),
    }.items():
        for other in others:
            places[here].run("git", "remote", "add", other, str(places[other].path))
    for here, others in FAR.items():
        for other in others:
            places[here].run("git", "config", f"remote.{other}.annex-cost", "200")
    places["laptop"].run("git", "config", "remote.usb.syncx-removable", "true")
    return places


def chapter(title: str, text: str) -> None:
    """A heading and a word on what comes."""
    console.print(Panel(text, title=title, title_align="left", border_style="green"))


def end_state(places: dict[str, Place]) -> None:
    """Where each repository stands and what it holds."""
    tree = Tree("the network")
    commits = set()
    for name, place in places.items():
        commit = place.run("git", "rev-parse", "--short", "main")
        files = place.run("git", "ls-tree", "-r", "--name-only", "main").split()
        keys = len(
            {
                path.name
                for path in place.path.rglob("annex/objects/**/*")
                if path.is_file() and path.name.startswith("SHA256E")
            }
        )
        commits.add(commit)
        tree.add(f"[bold]{name}[/]: commit {commit}, {', '.join(files)}; content of {keys} annexed files")
    console.print(tree)
    if len(commits) > 1:
        sys.exit("The repositories do not hold the same commit: please report this.")


def story(root: Path) -> None:
    """Edits in two places, a drive that is away, a conflict, content that is passed on; one command each."""
    chapter(
        "1. Five repositories",
        "A laptop, a desktop, a bare NAS, a bare server and a USB drive, each a git-annex repository. The laptop has "
        "the drive at hand and is far from the others, which are close together.",
    )
    places = build(root)
    laptop, desktop = places["laptop"], places["desktop"]
    laptop.shown("git", "remote")
    laptop.shown("git", "annex-syncx", "-v", "sync")

    chapter(
        "2. Edits in two places at once",
        "The desktop adds a photo, the laptop edits its notes. Neither has seen the other's work.",
    )
    desktop.add_photo("photo.jpg", 20_000)
    laptop.write("notes.txt", "Milk\nBread\nCoffee\n")
    console.print("  The drive is unplugged meanwhile.\n")
    places["usb"].path.rename(root / "unplugged")
    desktop.shown("git", "annex-syncx", "-v", "sync")
    laptop.shown("git", "annex-syncx", "-v", "sync")
    console.print("  All remotes were worked on at once; the two histories are merged; 'away' is no failure.\n")

    chapter("3. The drive is back", "The same command brings it up to date. Run again, there is nothing left to do.")
    (root / "unplugged").rename(places["usb"].path)
    laptop.shown("git", "annex-syncx", "-v", "sync")
    laptop.shown("git", "annex-syncx", "-v", "push")
    all_around(places)
    laptop.shown("git", "annex-syncx", "status")

    chapter(
        "4. The same line in two places",
        "Both change the last line of the notes. No sync stops at that, and no line is lost.",
    )
    desktop.write("notes.txt", "Milk\nBread\nCoffee, ground\n")
    laptop.write("notes.txt", "Milk\nBread\nCoffee, beans\n")
    desktop.run("git", "annex-syncx", "sync")
    laptop.shown("git", "annex-syncx", "-v", "sync", "nas")
    laptop.shown("cat", "notes.txt")

    chapter(
        "5. Content is sent once",
        "The laptop has a new photo, and everybody wants it. 'plan' tells what is missing where, and who is to bring "
        "it there. 'transfer' does the laptop's part, and '--dry-run' shows it before.",
    )
    laptop.add_photo("beach.jpg", 3_000_000)
    laptop.shown("git", "annex-syncx", "plan")
    laptop.shown("git", "annex-syncx", "transfer", "--dry-run")
    laptop.shown("git", "annex-syncx", "-v", "transfer")
    laptop.run("git", "annex-syncx", "push")
    console.print("  The photo went over the long way once. The desktop does the rest when it syncs.\n")
    desktop.shown("git", "annex-syncx", "-v", "sync")

    chapter(
        "6. It runs by itself",
        "Both install hooks. Then a plain 'git commit' is pushed, the desktop merges it, and the photo goes over the "
        "long way to the NAS once: the desktop fetches it from there. Nobody calls syncx.",
    )
    by_itself(laptop, desktop)

    chapter("7. The end", "Everybody holds the same commit and all photos.")
    all_around(places)
    end_state(places)


def by_itself(laptop: Place, desktop: Place) -> None:
    """A commit at one place that arrives with its content at the other, by hooks alone, which are removed then."""
    for place in (laptop, desktop):
        place.run("git", "config", "syncx.pushDelay", "0")
    laptop.shown("git", "annex-syncx", "hooks", "install")
    desktop.run("git", "annex-syncx", "hooks", "install")
    (laptop.path / "sunset.jpg").write_bytes(os.urandom(500_000))
    laptop.run("git", "annex", "add", "--quiet", "sunset.jpg")
    laptop.shown("git", "commit", "--quiet", "--message", "Sunset")
    log, begun = desktop.path / ".git" / "annex" / "syncx" / "hook.log", time.monotonic()
    wait_until((desktop.path / "sunset.jpg").is_file)  # a link that leads nowhere, until the content is there
    console.print(f"  After {time.monotonic() - begun:.1f} s the desktop has the photo.\n")
    wait_until(lambda: " transfer " in log.read_text())
    desktop.shown("cat", ".git/annex/syncx/hook.log")
    laptop.shown("git", "annex-syncx", "-q", "hooks", "uninstall")
    desktop.run("git", "annex-syncx", "-q", "hooks", "uninstall")
    dismiss((laptop, desktop))


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for what comes by itself."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"The photo did not arrive within {PATIENCE} s: please report this.")
        time.sleep(0.05)


def dismiss(places: Iterable[Place]) -> None:
    """End what hooks have started: it would wait ten seconds for the next commit."""
    files = [place.path / ".git" / "annex" / "syncx" / "requests.pid" for place in places]
    calm, deadline = time.monotonic(), time.monotonic() + PATIENCE
    while time.monotonic() < min(calm + CALM, deadline):
        for file in files:
            with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
                os.kill(int(file.read_text()), signal.SIGTERM)
                calm = time.monotonic()
        time.sleep(0.05)


def all_around(places: dict[str, Place]) -> None:
    """One command at each place, none of them shown."""
    for name in ("laptop", "desktop"):
        places[name].run("git", "annex-syncx", "sync")
    for name in ("nas", "server", "usb"):
        places[name].run("git", "annex-syncx", "merge")
    places["laptop"].run("git", "annex-syncx", "sync")


def main() -> None:
    """Run the story in a directory that is removed afterwards."""
    root = Path(tempfile.mkdtemp(prefix="syncx-demo-"))
    try:
        story(root)
    finally:
        dismiss(Place(root, name) for name in ("laptop", "desktop"))
        subprocess.run(("chmod", "-R", "u+w", str(root)), check=False)  # git-annex write-protects its objects
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
