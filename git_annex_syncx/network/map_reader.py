"""Maps from files, in three forms: ours, git-annex's JSON, git-annex's DOT. All of them are other people's input."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Container, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from git_annex_syncx.errors import UsageError
from git_annex_syncx.network.graph import (
    HIGHEST_COST,
    HIGHEST_LATENCY,
    HIGHEST_SPEED,
    VERSION,
    Link,
    Network,
    Place,
    network,
)

if TYPE_CHECKING:
    import networkx

T = TypeVar("T")

LARGEST = 100_000_000  # bytes
MOST = 1_000_000  # repositories or links
LONGEST_NAME = 4096
FLAGS = ("special", "relay", "removable", "dead")
NUMBERS = ("cost", "bytes_per_second", "latency_ms")
LOCAL_COST, REMOTE_COST = 100.0, 200.0  # git-annex's own defaults
ADVICE = "it must be what 'git annex-syncx map --json' or 'git annex map --json' prints, or git-annex's map.dot"


class BadMap(ValueError):
    """A map that cannot be read; the message says what is wrong and where."""

    def __init__(self, where: str, why: str) -> None:
        """`where`: a place in the JSON value such as `links[3].cost`, or a line and column."""
        super().__init__(f"{where}: {why}" if where else why)


def read_map(raw: bytes, name: str) -> Network:
    """Return the network in a file called `name`. Raises UsageError with file, position and reason."""
    from git_annex_syncx.network import dot  # its expressions take long to compile

    try:
        return _parse(raw)
    except (BadMap, dot.BadDot) as error:
        raise UsageError(f"{name}: {error}", ADVICE) from None


def _parse(raw: bytes) -> Network:
    if len(raw) > LARGEST:
        raise BadMap("", f"larger than {LARGEST // 1_000_000} MB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadMap(f"byte {error.start}", "is not UTF-8") from None
    if text.lstrip()[:1] in ("{", "["):
        value = _load(text)
        return _from_ours(value) if "repositories" in value else _from_annex(value)
    from git_annex_syncx.network import dot

    if dot.looks_like(text):
        return _from_dot(dot.parse(text))
    raise BadMap("line 1", "neither JSON nor a DOT graph" if text.strip() else "the file is empty")


def _load(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadMap(f"line {error.lineno} column {error.colno}", f"not JSON: {error.msg}") from None
    except RecursionError:
        raise BadMap("", "not a map: nested too deeply") from None
    except ValueError:
        raise BadMap("", "not JSON: a number has thousands of digits") from None
    if not isinstance(value, dict):
        raise BadMap("", "not a map: the outermost value is no object")
    if "repositories" not in value and "nodes" not in value:
        raise BadMap("", "not a map: there is neither 'repositories' nor 'nodes'")
    return value


# Our own form


def _from_ours(value: Mapping[str, Any]) -> Network:
    version = value.get("version", VERSION)
    if isinstance(version, bool) or version != VERSION:
        raise BadMap("version", f"{json.dumps(version)[:40]} is unknown, {VERSION} is known")
    places: dict[str, Place] = {}
    for where, item in _objects(value, "repositories"):
        place = _place(item, where)
        if place.uuid in places:
            raise BadMap(f"{where}.uuid", f"{place.uuid} stands here twice")
        places[place.uuid] = place
    links = [_link(item, where, places) for where, item in _objects(value, "links")]
    here: str | None = _get(value, "here", "", _text, None)
    if here is not None and here not in places:
        raise BadMap("here", "is none of the repositories")
    return network(places.values(), links, here)


def _place(item: Mapping[str, Any], where: str) -> Place:
    uuid, name = _get(item, "uuid", where, _text), _get(item, "name", where, _name, "")
    flags = {flag: _get(item, flag, where, _flag, False) for flag in FLAGS}
    return Place(uuid, name, nodes=_get(item, "nodes", where, _texts, ()), **flags)


def _link(item: Mapping[str, Any], where: str, places: Container[str]) -> Link:
    owner, remote = (_get(item, name, where, _text) for name in ("owner", "remote"))
    for name, uuid in (("owner", owner), ("remote", remote)):
        if uuid not in places:
            raise BadMap(f"{where}.{name}", f"{uuid} is none of the repositories")
    if owner == remote:
        raise BadMap(where, f"{owner} is linked to itself")
    return link_of(owner, remote, item, where, item.get("source"))


def link_of(owner: str, remote: str, item: Mapping[str, Any], where: str, source: Any) -> Link:
    """Return a link from what a JSON object says of it. Raises BadMap."""
    return Link(
        owner=owner,
        remote=remote,
        cost=_get(item, "cost", where, _COST),
        push=_get(item, "push", where, _flag, True),
        pull=_get(item, "pull", where, _flag, True),
        bytes_per_second=_get(item, "bytes_per_second", where, _SPEED, None),
        latency_ms=_get(item, "latency_ms", where, _LATENCY, None),
        source=source if source in ("config", "links-log", "map") else "config",
    )


MISSING: Any = object()


def _get(item: Mapping[str, Any], key: str, where: str, read: Callable[[Any, str], T], default: Any = MISSING) -> T:
    """Return a value, `default` where there is none; null is none where the default is None."""
    value = item.get(key, MISSING)
    if value is MISSING or (value is None and default is None):
        if default is MISSING:
            raise BadMap(where, f"has no {key!r}")
        return cast(T, default)
    return read(value, f"{where}.{key}" if where else key)


def _objects(value: Mapping[str, Any], key: str, around: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the objects of a list, and where each stands."""
    found = value.get(key, [])
    if not isinstance(found, list):
        raise BadMap(key, "is no list")
    if len(found) > MOST:
        raise BadMap(key, f"has more than {MOST:,} members")
    for n, item in enumerate(found):
        if not isinstance(item, dict):
            raise BadMap(f"{around}{key}[{n}]", "is no object")
        yield f"{around}{key}[{n}]", item


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME:
        raise BadMap(where, "is no text" if not isinstance(value, str) else "is empty or too long")
    return clean(value)


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadMap(where, "is no list")
    return tuple(sorted({_text(one, f"{where}[{n}]") for n, one in enumerate(value)}))


def _name(value: Any, where: str) -> str:
    return _text(value, where) if value else ""


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise BadMap(where, f"{_shown(value)} is neither true nor false")
    return value


def _number(value: Any, where: str, lowest: float, highest: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadMap(where, f"{_shown(value)} is no number")
    if not lowest <= value <= highest:  # false for NaN
        raise BadMap(where, f"{_shown(value)} is not between {lowest:g} and {highest:g}")
    return float(value)


_COST = partial(_number, lowest=0.0, highest=HIGHEST_COST)
_SPEED = partial(_number, lowest=1e-9, highest=HIGHEST_SPEED)
_LATENCY = partial(_number, lowest=1e-9, highest=HIGHEST_LATENCY)


def _shown(value: Any) -> str:
    return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else json.dumps(value)[:40]


def clean(text: str) -> str:
    """Return text that can be written as UTF-8, whatever JSON's escapes made of it."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


# git-annex's forms


def _from_annex(value: Mapping[str, Any]) -> Network:
    """Return what `git annex map --json` prints: remotes without a uuid are joined by their url."""
    nodes = list(_objects(value, "nodes"))
    urls = {node["url"]: node["uuid"] for _, node in nodes if isinstance(node.get("url"), str) and node.get("uuid")}
    places: dict[str, Place] = {}
    for where, node in nodes:
        uuid, name = _identity(node, urls, where), _get(node, "description", where, _name, None) or ""
        if uuid not in places or not places[uuid].name:
            places[uuid] = Place(uuid, name)
    links = []
    for place, node in nodes:
        for where, remote in _objects(node, "remotes", f"{place}."):
            other = _identity(remote, urls, where)
            places.setdefault(other, Place(other, _get(remote, "remote", where, _name, None) or ""))
            url = str(remote.get("url") or "")
            cost = LOCAL_COST if host(url) == host(str(node.get("url") or "")) else REMOTE_COST
            links.append(Link(_identity(node, urls, place), other, cost, push=not read_only(url), source="map"))
    return network(places.values(), links)


def _identity(item: Mapping[str, Any], urls: Mapping[str, str], where: str) -> str:
    """Return the uuid of a repository, its url where nobody knows it."""
    if item.get("uuid") is not None:
        return _get(item, "uuid", where, _text)
    if item.get("url") is None:
        raise BadMap(where, "has neither 'uuid' nor 'url'")
    url = _get(item, "url", where, _text)
    return _text(urls.get(url, url), f"{where}.uuid")


def host(url: str) -> str:
    """Return the machine that a url names, empty for this one."""
    if "://" in url:
        try:
            return urlsplit(url).hostname or ""
        except ValueError:
            return url
    found = re.match(r"(?:[^/:@]+@)?([^/:]+):", url)
    return found[1] if found else ""


def read_only(url: str) -> bool:
    """Return whether nothing can be sent to a url."""
    return url.startswith(("http://", "https://", "git://"))


def _from_dot(graph: networkx.MultiDiGraph[str]) -> Network:
    """Return what git-annex writes as map.dot, or `map --dot`: an arc leads from a repository to its remote."""
    places, links = [], []
    for node, told in graph.nodes.items():
        attributes = told["attributes"]
        known = {"name": attributes.get("label", "")} | _typed(attributes) | {"uuid": node}
        places.append(_place(known, told["where"]))
    for owner, remote, told in graph.edges(data=True):
        if owner == remote:
            raise BadMap(told["where"], f"{owner} is linked to itself")
        near = graph.nodes[owner].get("cluster") == graph.nodes[remote].get("cluster")
        item = {"cost": LOCAL_COST if near else REMOTE_COST, "push": not read_only(remote), "source": "map"}
        if ends := told["attributes"].get("dir"):
            item |= {"push": ends != "back", "pull": ends != "forward"}
        item |= _typed(told["attributes"])
        links.append(link_of(clean(owner), clean(remote), item, told["where"], item["source"]))
    here = [node for node, told in graph.nodes.items() if told["attributes"].get("here") == "true"]
    return network(places, links, here[0] if len(here) == 1 else None)


def _typed(attributes: Mapping[str, str]) -> dict[str, Any]:
    """Return attributes with flags and numbers as JSON has them."""
    found: dict[str, Any] = dict(attributes)
    for key in attributes.keys() & FLAGS:
        found[key] = {"true": True, "false": False}.get(attributes[key], attributes[key])
    if "nodes" in attributes:
        found["nodes"] = attributes["nodes"].split()
    for key in attributes.keys() & NUMBERS:
        with contextlib.suppress(ValueError):
            found[key] = float(attributes[key])
    return found
