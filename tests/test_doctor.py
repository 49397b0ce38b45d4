"""doctor: it finds what is wrong, changes nothing, and the command that it names mends it."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from network import ANNEX, PROGRAMS, Network, Node
from sshd import Sshd

from git_annex_syncx.git.remote_shell import HostPath, host_path
from git_annex_syncx.system.state import State

Finding = dict[str, Any]
MAN = Path(__file__).parent.parent / "man"


def examine(node: Node, *args: str, **env: str) -> list[Finding]:
    """What the doctor finds; its exit code says whether anything of it is a problem."""
    ran = node.syncx("doctor", *args, ok=None, **env)
    *found, summary = ran.events
    problems = [one for one in found if one["level"] == "problem"]
    assert (summary["problems"], summary["advice"]) == (len(problems), len(found) - len(problems))
    assert (ran.code, ran.err) == (bool(problems), ""), ran.err
    assert all((one["command"] or "") in (one["advice"] or "") for one in found)
    return found


def finding(node: Node, check: str, remote: str | None = None, *args: str, **env: str) -> Finding:
    """The one thing that a check finds with a remote."""
    found = [one for one in examine(node, *args, **env) if (one["check"], one["remote"]) == (check, remote)]
    assert len(found) == 1, found
    return found[0]


def is_mended(node: Node, told: Finding, **env: str) -> None:
    """Run the command that a finding names; the doctor finds no more of it."""
    node.run("sh", "-e", "-c", told["command"], **env)
    left = [one["what"] for one in examine(node, "--offline", **env)]
    assert told["what"] not in left


def snapshot(place: Path) -> dict[Path, tuple[int, bytes]]:
    """All files of a directory."""
    files = [path for path in place.rglob("*") if path.is_file() and not path.is_symlink()]
    return {path: (path.stat().st_mode, path.read_bytes()) for path in files}


def test_nothing_is_found_where_nothing_is_wrong_and_nothing_is_changed(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    laptop.syncx("sync")
    before = snapshot(laptop.net.root)
    assert [one for one in examine(laptop) if one["check"] != "manual"] == []
    assert snapshot(laptop.net.root) == before
    assert laptop.run("git-annex-syncx", "doctor").out.startswith("no problem found")
    assert laptop.run("git-annex-syncx", "-q", "doctor").out == ""
    laptop.config("syncx.jobs", "many")
    assert laptop.run("git-annex-syncx", "-q", "doctor", "--offline", ok=1).out.startswith("problem: ")


def test_settings(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit()
    laptop.config("syncx.jbos", "3")
    laptop.config("remote.nas.syncx-direkt", "no")
    laptop.git("config", "--global", "syncx.retries", "many")
    other = net.root / "other config"
    other.write_text("[syncx]\n\tpatience = a while\n[annex]\n\tdiskreserve = much\n")
    laptop.config("include.path", str(other))
    found = {one["what"].split()[0 if "must" in one["what"] else 4]: one for one in examine(laptop)}
    assert found["syncx.jbos"]["advice"].startswith("if you meant syncx.jobs: ")
    assert found["syncx.retries"]["command"].startswith("git config --global ")
    assert str(other) in found["syncx.patience"]["command"]
    levels = {"syncx.jbos": "advice", "remote.nas.syncx-direkt": "advice", "syncx.retries": "problem"}
    assert {key: found[key]["level"] for key in levels} == levels
    for told in found.values():
        laptop.run("sh", "-e", "-c", told["command"])
    assert not [one for one in examine(laptop) if one["check"] == "settings"]
    assert laptop.git("config", "syncx.jobs").out.strip() == "3"
    laptop.syncx("status")
    by_hand = laptop.git("-c", "syncx.jobs=x", "annex-syncx", "--json", "doctor", ok=1).events[0]
    assert (by_hand["check"], by_hand["command"]) == ("settings", None)


def test_work_that_somebody_left(net: Network) -> None:
    laptop = net.create("laptop")
    first = laptop.commit({"a.txt": "a\n"})
    for lock in (laptop.git_dir / "index.lock", laptop.git_dir / "refs" / "heads" / "main.lock"):
        lock.touch()
        os.utime(lock, (1, 1))
        is_mended(laptop, finding(laptop, "locks"))
    laptop.git("switch", "--quiet", "--create", "other")
    laptop.commit({"a.txt": "b\n"})
    laptop.git("switch", "--quiet", "main")
    laptop.commit({"a.txt": "c\n"})
    laptop.git("merge", "other", ok=1)
    assert "git merge --abort" in finding(laptop, "work")["advice"]
    laptop.git("merge", "--abort")
    laptop.git("checkout", "--quiet", "--detach", first)
    assert finding(laptop, "work")["advice"] == "git switch BRANCH first"
    laptop.git("switch", "--quiet", "main")

    laptop.syncx("pause", "--for", "1h")
    is_mended(laptop, finding(laptop, "pause"))
    laptop.config("annex.diskreserve", "1000 petabytes")
    is_mended(laptop, finding(laptop, "disk"))
    laptop.config("merge.default", "syncx")
    is_mended(laptop, finding(laptop, "merge-driver"))
    laptop.syncx("merge-driver", "install")
    laptop.config("merge.syncx.driver", "/gone/python %O %A %B")
    is_mended(laptop, finding(laptop, "merge-driver"))
    outbox = laptop.git_dir / "annex" / "syncx" / "outbox.sqlite"
    outbox.rename(outbox.with_name("aside"))
    outbox.mkdir()
    assert finding(laptop, "state")["level"] == "problem"


def test_clocks_and_failures_that_persist(net: Network) -> None:
    laptop = net.create("laptop")
    late = str(int(time.time()) + 7200)
    laptop.git("commit", "--quiet", "--allow-empty", "--message", "late", GIT_COMMITTER_DATE=f"@{late} +0000")
    told = finding(laptop, "clock")
    assert told["level"] == "advice" and "refs/heads/main" in told["what"] and "2.0 hours" in told["what"]
    state = State(laptop.git_dir / "annex" / "syncx" / "outbox.sqlite")
    for _ in range(3):
        state.record_failure("", "merge", "Permission denied (publickey)")
    assert "ssh-add; then: git annex-syncx sync" in finding(laptop, "failure")["advice"]
    laptop.git("commit", "--quiet", "--allow-empty", "--amend", "--message", "now")
    is_mended(laptop, finding(laptop, "failure"))


def test_remotes(net: Network) -> None:
    laptop, hub = net.create("laptop"), net.root / "hub"
    laptop.commit()
    nas = net.clone(laptop, "nas", bare=True)
    net.connect((laptop, nas))
    laptop.syncx("sync")
    laptop.git("init", "--quiet", "--bare", str(hub))
    laptop.git("remote", "add", "hub", str(hub))
    unknown = finding(laptop, "uuid", "hub")
    assert unknown["what"] == "uuid unknown, so it gets no content"
    is_mended(laptop, unknown)

    shutil.copytree(nas.path, net.root / "copy")
    laptop.git("remote", "add", "copy", str(net.root / "copy"))
    laptop.config("remote.copy.annex-uuid", laptop.git("config", "remote.nas.annex-uuid").out.strip())
    copy = Node(net, "copy", net.root / "copy")
    told = finding(laptop, "uuid", "nas")
    assert "uuid of copy" in told["what"] and str(nas.path) in told["advice"]
    nas.git("config", "--unset", "annex.uuid")
    nas.annex("init", "--quiet")
    is_mended(laptop, told)

    nas.config("annex.diskreserve", "1000 petabytes")
    assert "git annex-syncx sync nas" in finding(laptop, "disk", "nas")["advice"]
    nas.git("config", "--unset", "annex.diskreserve")
    laptop.git("remote", "set-url", "hub", str(hub))
    hub.rename(net.root / "hub.git")
    assert not [one for one in examine(laptop) if one["remote"] == "hub"], "git finds hub.git"

    laptop.git("remote", "add", "self", str(laptop.path))
    assert "git remote remove self" in finding(laptop, "remote", "self")["advice"]
    laptop.git("remote", "remove", "self")
    laptop.config("remote.copy.annex-uuid", "11111111-1111-1111-1111-111111111111")
    meant = finding(laptop, "remote", "copy")["advice"].partition("if this is meant: ")[2]
    laptop.run("sh", "-c", meant)
    laptop.config("remote.copy.annex-ignore", "true")
    laptop.config("remote.copy.annex-ignore-auto", "true")
    is_mended(laptop, finding(laptop, "content", "copy"))
    if os.getuid() == 0:
        for path in (copy.path, *copy.path.rglob("*")):
            os.chown(path, 12345, 12345)
        trust = finding(laptop, "remote", "copy")["advice"].partition("if you trust it: ")[2]
        laptop.run("sh", "-c", trust)
        assert not [one for one in examine(laptop) if one["remote"] == "copy"]


@pytest.fixture
def box(net: Network) -> Iterator[tuple[Node, Node, Sshd]]:
    """A laptop with a bare repository by ssh."""
    laptop, box = net.create("laptop"), net.create("box", bare=True)
    laptop.commit()
    with Sshd(net.root / "sshd", net.home) as sshd:
        sshd.join(net)
        laptop.git("remote", "add", "box", sshd.url(box.path))
        laptop.config("remote.box.annex-uuid", box.git("config", "annex.uuid").out.strip())
        yield laptop, box, sshd


@pytest.mark.slow
def test_what_is_at_the_other_end(box: tuple[Node, Node, Sshd]) -> None:
    laptop, node, sshd = box
    quiet = [one for one in examine(laptop) if one["remote"]]
    assert quiet == []
    known = laptop.git("config", "remote.box.annex-uuid").out.strip()
    laptop.config("remote.box.annex-uuid", "11111111-1111-1111-1111-111111111111")
    told = finding(laptop, "uuid", "box")
    laptop.run("sh", "-c", told["command"])
    assert laptop.git("config", "remote.box.annex-uuid").out.strip() == known

    # hooks there of another version
    node.syncx("hooks", "install")
    hook = node.path / "hooks" / "post-receive"
    made = hook.read_text()
    old = sshd.root / "git-annex-syncx"
    old.write_text("#!/bin/sh\necho git-annex-syncx, version 0.0.9\n")
    old.chmod(0o755)
    hook.write_text(made.replace(f"syncx={PROGRAMS}", f"syncx={old.parent}"))
    assert "0.0.9" in finding(laptop, "versions", "box")["what"]
    hook.write_text(made)

    # what is missing
    (node.path / "config").rename(node.path / "config.aside")
    assert "no git repository" in finding(laptop, "remote", "box")["what"]
    (node.path / "config.aside").rename(node.path / "config")
    config = sshd.root / "ssh_config"
    if os.getuid() == 0:
        for path in (node.path, *node.path.rglob("*")):
            os.chown(path, 12345, 12345)
        trust = finding(laptop, "remote", "box")["advice"].partition("if you trust it: ")[2]
        laptop.run("sh", "-c", trust)
        assert not [one for one in examine(laptop) if one["remote"]]

    # whom ssh does not know, and who does not know us
    sshd.disconnect()
    host = f"[127.0.0.1]:{sshd.port}"
    known_hosts = sshd.root / "known_hosts"
    right = known_hosts.read_text()
    known_hosts.write_text(f"{host} {(sshd.root / 'user_key.pub').read_text()}")
    told = finding(laptop, "connection", "box")
    assert told["what"] == "its host key has changed"
    before, command = told["advice"].removesuffix("; otherwise do not connect").split(": ", 1)
    assert before == "if you reinstalled it"
    laptop.run("sh", "-c", command)
    told = finding(laptop, "connection", "box")
    assert told["what"] == "its host key is not known here" and "git ls-remote box" in told["advice"]
    assert laptop.syncx("pull", ok=1).event("fetch", "box")["error"] == told["what"], "the same words"
    known_hosts.write_text(right)
    config.write_text(config.read_text().replace("user_key", "host_key"))
    told = finding(laptop, "connection", "box")
    assert told["what"] == "Permission denied (publickey)"
    assert told["advice"] == "if your key has a passphrase, load it: ssh-add"
    assert laptop.syncx("pull", ok=1).event("fetch", "box")["advice"] == told["advice"]
    laptop.git("remote", "add", "new", laptop.git("remote", "get-url", "box").out.strip())
    assert {one["check"] for one in examine(laptop) if one["remote"] == "new"} == {"connection"}, "not its uuid, too"
    assert "uuid" in {one["check"] for one in examine(laptop, "--offline") if one["remote"] == "new"}
    laptop.git("remote", "remove", "new")
    assert not [one for one in examine(laptop, "--offline") if one["check"] == "connection"]


def test_a_login_that_runs_nothing_but_git(box: tuple[Node, Node, Sshd]) -> None:
    laptop, _, sshd = box
    key, asked = sshd.root / "user_key.pub", '\\"$SSH_ORIGINAL_COMMAND\\"'
    only_git = f"case {asked} in git*) eval {asked};; *) echo Hello; exit 1;; esac"
    key.write_text(f'command="{only_git}" {key.read_text()}')
    assert not [one for one in examine(laptop) if one["remote"]]
    laptop.git("remote", "set-url", "box", sshd.url(Path("/nowhere")))
    assert finding(laptop, "connection", "box")["level"] == "problem"


def test_what_another_host_says_of_itself(net: Network) -> None:
    laptop, box = net.create("laptop"), net.create("box", bare=True)
    laptop.commit()
    stubs = net.root / "stubs"
    stubs.mkdir()
    for name, said in (("date", str(int(time.time()) - 7200)), ("df", "Filesystem\n/dev/sda1 9 9 10 99% /")):
        (stubs / name).write_text(f"#!/bin/sh\necho '{said}'\n")
        (stubs / name).chmod(0o755)
    shutil.copytree(box.path, net.root / "copy")
    usual = (str(stubs), str(ANNEX), str(PROGRAMS), "/usr/bin", "/bin")
    with Sshd(net.root / "sshd", net.home, path=os.pathsep.join(usual)) as sshd:
        sshd.join(net)
        (stubs / "git-annex-shell").symlink_to(ANNEX / "git-annex")
        for name in ("box", "copy"):
            laptop.git("remote", "add", name, sshd.url(net.root / name))
            laptop.config(f"remote.{name}.annex-uuid", box.git("config", "annex.uuid").out.strip())
        laptop.config("remote.copy.annex-ignore", "true")
        laptop.git("remote", "add", "web-hub", "http://127.0.0.1:1/x.git")
        laptop.git("remote", "add", "evil", "ssh://-oProxyCommand=touch%20mark/x")
        found = {(one["check"], one["remote"]): one for one in examine(laptop)}
        assert "2.0 hours behind" in found["clock", "box"]["what"]
        assert "no room" in found["disk", "box"]["what"]
        assert "uuid of box" in found["uuid", "copy"]["what"]
        assert "git remote get-url evil" in found["connection", "evil"]["advice"]
        assert "git remote get-url web-hub" in found["connection", "web-hub"]["advice"]
        assert not list(net.root.rglob("mark"))
        (stubs / "date").write_text(f"#!/bin/sh\nprintf '%0999999d\\n' 1\nprintf 'syncx free {'9' * 5000}\\033[2J'\n")
        laptop.run("sh", "-c", found["content", "copy"]["command"])
        after = {(one["check"], one["remote"]) for one in examine(laptop)}
        assert ("content", "copy") not in after and ("clock", "box") not in after


def test_no_git_annex_shell_at_the_other_end(net: Network) -> None:
    laptop, box = net.create("laptop"), net.create("box", bare=True)
    laptop.commit()
    with Sshd(net.root / "sshd", net.home, path="/usr/bin:/bin") as sshd:
        sshd.join(net)
        laptop.git("remote", "add", "box", sshd.url(box.path))
        laptop.config("remote.box.annex-uuid", box.git("config", "annex.uuid").out.strip())
        box.syncx("hooks", "install")
        hook = box.path / "hooks" / "post-receive"
        hook.write_text(hook.read_text().replace(f"syncx={PROGRAMS}", "syncx=/gone"))
        assert "call a git-annex-syncx that has gone" in finding(laptop, "hooks", "box")["what"]
        hook.unlink()
        told = finding(laptop, "versions", "box")
        assert "no git-annex-shell is on the PATH of ssh 127.0.0.1" in told["what"]
        laptop.run("sh", "-c", told["command"])
        assert not [one for one in examine(laptop) if one["remote"]]


def test_what_runs_by_itself(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit()
    laptop.syncx("hooks", "install")
    hook = laptop.git_dir / "hooks" / "post-commit"
    made = hook.read_text()
    hook.write_text(made.replace(f"syncx={PROGRAMS}", "syncx=/gone"))
    told = finding(laptop, "hooks")
    assert "calls a program that has gone" in told["what"]
    is_mended(laptop, told)
    hook.unlink()
    is_mended(laptop, finding(laptop, "hooks"))
    laptop.path.rename(net.root / "elsewhere")
    laptop = Node(net, "laptop", net.root / "elsewhere")
    is_mended(laptop, finding(laptop, "hooks"))

    laptop.config("syncx.signal", "pigeon:home")
    assert "no address" in finding(laptop, "signals", None, "--offline")["what"]
    laptop.config("syncx.signal", "exec:/nowhere/bell")
    assert "exec:/nowhere/bell" in finding(laptop, "signals")["what"]


def tool(net: Network, name: str, script: str) -> Path:
    """A program that stands first on the PATH."""
    tools = net.root / "tools"
    if not tools.exists():
        tools.mkdir()
        net.programs.insert(0, tools)
    (tools / name).write_text(f"#!/bin/sh\n{script}\n")
    (tools / name).chmod(0o755)
    return tools / name


def test_service(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit()
    wants = "$HOME/.config/systemd/user/default.target.wants"
    tool(net, "systemctl", f'[ "$2" = enable ] || exit 0\nmkdir -p "{wants}" && touch "{wants}/$4"')
    laptop.syncx("service", "install")
    told = finding(laptop, "service")
    assert "does not run" in told["what"] and "systemctl --user restart" in told["command"]
    unit = net.home / ".config" / "systemd" / "user" / "git-annex-syncx-watch@.service"
    unit.write_text(unit.read_text().replace(str(PROGRAMS), "/gone"))
    is_mended(laptop, next(one for one in examine(laptop) if "not what" in one["what"]))


def test_cron_and_its_keys(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit()
    listed, key = net.root / "crontab", net.root / "key"
    tool(net, "crontab", f"cat {listed}")
    lines = laptop.run("git-annex-syncx", "service", "show", "--cron").out
    listed.write_text(lines.replace(str(PROGRAMS), "/gone"))
    assert "which has gone" in finding(laptop, "cron")["what"]
    listed.write_text(lines)
    assert not [one for one in examine(laptop) if one["check"] == "cron"]

    laptop.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(key))
    (net.root / "ssh_config").write_text(f"IdentityFile {key}\n")
    tool(net, "ssh", f'exec {shutil.which("ssh")} -F {net.root}/ssh_config "$@"')
    laptop.git("remote", "add", "nas", "nas:annex.git")
    told = finding(laptop, "ssh", "nas", "--offline", SSH_AUTH_SOCK="/nowhere")
    assert str(key) in told["what"] and "cron" in told["what"]
    laptop.run("sh", "-c", f"{told['command']} -P secret -N ''")
    assert not [one for one in examine(laptop, "--offline", SSH_AUTH_SOCK="/nowhere") if one["check"] == "ssh"]


def test_a_shared_repository_is_trusted_by_nobody_else(net: Network) -> None:
    hub, system = net.create("hub", bare=True), net.root / "gitconfig"
    hub.config("core.sharedRepository", "group")
    hub.syncx("hooks", "install")
    env = {"GIT_CONFIG_NOSYSTEM": "0", "GIT_CONFIG_SYSTEM": str(system)}
    told = finding(hub, "hooks", **env)
    told["command"] = told["command"].removeprefix("sudo ")
    is_mended(hub, told, **env)


def test_what_is_installed_elsewhere(net: Network) -> None:
    """In a virtual environment that is not on the PATH."""
    prefix, here = net.root / "venv", net.create("here")
    here.commit()
    packages = prefix / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    packages.mkdir(parents=True)
    (prefix / "bin").mkdir()
    (prefix / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    (packages / "all.pth").write_text("\n".join(path for path in sys.path if path))
    (prefix / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    program = prefix / "bin" / "git-annex-syncx"
    program.write_text(f"#!{prefix}/bin/python\nfrom git_annex_syncx.cli import main\nmain()\n")
    program.chmod(0o755)
    shutil.copytree(MAN, prefix / "share" / "man" / "man1")
    annex = tool(net, "git-annex", f'exec {ANNEX}/git-annex "$@"')
    tool(net, "crontab", f"echo '17 * * * * {program} -C {here.path} sync'")
    env = {"PATH": f"{net.home}/.local/bin:{annex.parent}:/usr/local/bin:/usr/bin:/bin"}

    def told(check: str) -> list[Finding]:
        lines = here.run(str(program), "--json", "doctor", "--offline", ok=None, **env).events
        return [one for one in lines if one.get("check") == check]

    by_path, by_cron = told("programs")
    assert f"PATH={annex.parent}:" in by_cron["advice"]
    here.run("sh", "-e", "-c", by_path["command"], **env)
    assert [one["what"] for one in told("programs")] == [by_cron["what"]]
    if shutil.which("man"):
        (page,) = told("manual")
        here.run("sh", "-e", "-c", page["command"], **env)
        profile = (net.home / ".profile").read_text()
        env["MANPATH"] = here.run("sh", "-c", f"{profile}\necho $MANPATH").out.strip()
        assert told("manual") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(net: Network, shell: str) -> None:
    here = Node(net, "here", net.root / "here")
    here.path.mkdir()
    env = {"SHELL": f"/bin/{shell}", "XDG_DATA_DIRS": "/nowhere"}
    is_mended(here, finding(here, "completion", **env), **env)


def test_outside_of_a_repository(net: Network) -> None:
    here = Node(net, "here", net.root / "here")
    here.path.mkdir()
    assert "is not in a git repository" in finding(here, "repository")["what"]
    here.git("init", "--quiet")
    assert finding(here, "repository")["advice"] == "git annex init"


@pytest.mark.parametrize(
    ("url", "there"),
    [
        ("nas:x", HostPath("nas", "", "x")),
        ("me@nas:~/my annex", HostPath("me@nas", "", "~/my annex")),
        ("ssh://me@nas:22/~/a%20b", HostPath("me@nas", "22", "~/a b")),
        ("ssh://nas/a/b", HostPath("nas", "", "/a/b")),
        ("[::1]:x", HostPath("::1", "", "x")),
        ("ssh://[::1]:22/x", HostPath("::1", "22", "/x")),
        ("/a/b:c", None),
        ("https://nas/x", None),
    ],
)
def test_places_behind_ssh(url: str, there: HostPath | None) -> None:
    assert host_path(url) == there
