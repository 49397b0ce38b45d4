"""Files with fewer copies than numcopies asks for, and who should take them.

git-annex judges file by file (`git annex find --lackingcopies=1`, half a minute for 50,000 files); here those with
the same holders are judged once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from git_annex_syncx.annex import annex_branch
from git_annex_syncx.annex.key import key_size
from git_annex_syncx.content.policy import Policy
from git_annex_syncx.content.wanting import Files
from git_annex_syncx.git import attributes
from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.settings import Settings
from git_annex_syncx.model import OUTSIDE, Need

UNTRUSTED = ("0", "untrusted")
ATTRIBUTE = "annex.numcopies"


@dataclass(frozen=True)
class Shortage:
    """Files below numcopies: how many, and how many of them each repository should take, by uuid.

    `planned` are those that get copies enough by what is on its way already.
    """

    files: int = 0
    bytes: int = 0
    planned: int = 0
    takers: Mapping[str, int] = field(default_factory=dict)
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """The number of copies that files must have, and the repositories whose copies do not count."""

    numcopies: int
    untrusted: frozenset[str]
    of_files: bool  # attributes may say otherwise of some files


def read_rules(repo: Repository, settings: Settings, options: Mapping[str, Mapping[str, str]], tree: str) -> Rules:
    """Read what git-annex goes by; `options` are those of special remotes."""
    logs = annex_branch.logs(repo, ("numcopies.log", "trust.log"))
    trust = annex_branch.newest_lines(logs["trust.log"]) | _trust_here(settings)
    exports = {u for u, told in options.items() if told.get("exporttree") == "yes" and told.get("versioned") != "yes"}
    untrusted = exports | {uuid for uuid, level in trust.items() if level in UNTRUSTED}
    told = (annex_branch.newest_value(logs["numcopies.log"]), _configured(settings, ATTRIBUTE))
    number = next((int(text) for text in told if text.isascii() and text.isdigit()), 1)
    return Rules(number, frozenset(untrusted), attributes.any_file_says(repo, tree, ATTRIBUTE))


def _trust_here(settings: Settings) -> dict[str, str]:
    """Return the trust in remotes that this repository alone has, by uuid."""
    levels = ((r.uuid, _configured(settings, f"remote.{r.name}.annex-trustlevel")) for r in settings.remotes.values())
    return {uuid: level for uuid, level in levels if uuid and level}


def _configured(settings: Settings, key: str) -> str:
    return next((o[len(key) + 1 :] for o in reversed(settings.of_annex) if o.startswith(f"{key}=")), "").strip()


def of_files(repo: Repository, rules: Rules, files: Files) -> dict[str, int]:
    """Return how many copies keys need by their files: of several with one key that of the most."""
    said = attributes.of_work_tree(repo, [path for paths in files.values() for path in paths], ATTRIBUTE)

    def needed(path: bytes) -> int:
        text = said.get(path, "")
        return int(text) if text.isascii() and text.isdigit() else rules.numcopies

    return {key: max(map(needed, paths)) for key, paths in files.items() if paths}


def shortage(
    policy: Policy, keys: Iterable[Need], rules: Rules, needed: Callable[[Collection[str]], Mapping[str, int]]
) -> Shortage:
    """Return what is short of copies; `needed` says how many some keys need, where attributes can."""
    nodes = policy.clusters.keys()
    counts = frozenset(policy.alive - rules.untrusted - nodes)
    short = _short(keys, counts, rules, needed)
    takers, planned = Counter[str](), 0
    near = sorted(
        (u for u in counts & policy.nearness.keys() if u not in OUTSIDE), key=lambda u: (policy.nearness[u], u)
    )
    for need, missing in short:
        coming = need.targets & counts & policy.takers
        planned += len(coming) >= missing
        others = [uuid for uuid in near if uuid not in need.holders and uuid not in coming]
        takers.update([*sorted(coming), *others][:missing])
    sizes = sum(key_size(need.key) for need, _ in short)
    return Shortage(len(short), sizes, planned, dict(sorted(takers.items())), tuple(need.key for need, _ in short))


def _short(
    keys: Iterable[Need],
    counts: frozenset[str],
    rules: Rules,
    needed: Callable[[Collection[str]], Mapping[str, int]],
) -> list[tuple[Need, int]]:
    """Return the keys that lack copies, and how many."""
    keys = list(keys)
    each = needed([need.key for need in keys]) if rules.of_files else {}
    copies: dict[frozenset[str], int] = {}
    found = []
    for need in keys:
        if need.holders not in copies:
            copies[need.holders] = len(need.holders & counts)
        lack = each.get(need.key, rules.numcopies) - copies[need.holders]
        if lack > 0:
            found.append((need, lack))
    return found
