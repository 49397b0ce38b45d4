"""What is advised where no way leads was tried on the network: it makes one, and is the least that does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_annex_syncx.content.policy import Policy, Wishes
from git_annex_syncx.content.remedies import remedies, told
from git_annex_syncx.model import Remote
from git_annex_syncx.network.graph import Link, Place, network
from git_annex_syncx.network.plan import Question, reachable
from git_annex_syncx.network.weights import arcs

PLACES = (Place("me", "me"), Place("hub", "hub"), Place("far", "far"), Place("box", "box", special=True))


def policy(links: Iterable[Link], places: Iterable[Place] = PLACES) -> Policy:
    return Policy(network(places, links, "me"), Wishes({}, {}, {}, {}), "me", frozenset({"me"}))


def advice(found: Policy, holders: str, target: str, *remotes: Remote, wanting: Iterable[str] = ()) -> list[str]:
    by_name = {remote.name: remote for remote in remotes}
    cures = remedies(found, by_name, frozenset({holders}), frozenset(wanting), target)
    return [told(found, by_name, one) for one in cures]


def hub(**settings: Any) -> Remote:
    return Remote("hub", "ssh://hub/annex", "ssh://hub/annex", **{"uuid": "hub", **settings})


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        ({"ignore": True}, "git config remote.hub.annex-ignore false"),
        ({"sync": False}, "git config remote.hub.annex-sync true"),
        ({"push": False}, "git config remote.hub.annex-push true"),
        ({"readonly": True}, "git config remote.hub.annex-readonly false"),
        ({"unverified": True}, "git annex verifyremote hub"),
        (
            {"ignore": True, "sync": False},
            "git config remote.hub.annex-ignore false && git config remote.hub.annex-sync true",
        ),
    ],
)  # fmt: skip
def test_a_setting_that_is_in_the_way(settings: dict[str, Any], command: str) -> None:
    lonely = policy([Link("far", "hub", 100)])
    assert advice(lonely, "me", "hub", hub(**settings)) == [command]


def test_a_remote_that_is_not_known_yet_and_one_without_git_annex() -> None:
    lonely = policy([Link("far", "hub", 100)])
    assert advice(lonely, "me", "hub", hub(uuid=None)) == ["git annex-syncx sync -- hub"]
    (text,) = advice(lonely, "me", "hub", hub(ignore=True, found_without=True))
    assert "git-annex-shell" in text and "git annex enableremote hub" in text


def test_a_relay() -> None:
    way = [Link("me", "hub", 100), Link("far", "hub", 100)]
    assert advice(policy(way), "me", "far", hub()) == ["in hub: git config syncx.relay true"]
    assert advice(policy(way), "far", "me", hub()) == ["in hub: git config syncx.relay true"]
    assert advice(policy([Link("hub", "me", 1), Link("me", "far", 1)]), "hub", "far") == [
        "git config syncx.relay true"
    ]
    through_box = policy([Link("me", "box", 100), Link("far", "box", 100)])
    assert advice(through_box, "me", "far") == ["git annex group box transfer"]


def test_a_link_here_or_elsewhere() -> None:
    assert advice(policy([Link("far", "box", 100)]), "far", "me") == ["git remote add far ADDRESS"]
    assert advice(policy([Link("far", "box", 100)]), "me", "far", wanting=["box"]) == ["git annex enableremote box"]
    assert advice(policy([Link("me", "hub", 100)]), "hub", "far", hub(), wanting=["me"]) == [
        "git remote add far ADDRESS", "in far: git annex-syncx sync, if it has remotes",
    ]  # fmt: skip
    apart = policy([Link("me", "box", 1), Link("hub", "me", 1)], [replace(p, relay=p.uuid == "me") for p in PLACES])
    assert advice(apart, "far", "box")[0] == "git remote add far ADDRESS"
    odd = policy([], [Place("me", "me"), Place("u", "joe@pc:/home x", special=False)])
    assert advice(odd, "me", "u")[0] == "git remote add NAME ADDRESS"


def test_nothing_helps_where_nobody_has_it() -> None:
    assert remedies(policy([]), {}, frozenset(), frozenset(), "me") == []


@given(st.data())
def test_each_makes_a_way_and_none_is_needed_where_there_is_one(data: st.DataObject) -> None:
    uuids = [place.uuid for place in PLACES]
    pairs = st.tuples(st.sampled_from(uuids), st.sampled_from(uuids), st.booleans(), st.booleans())
    links = [Link(a, b, 100, push, pull) for a, b, push, pull in data.draw(st.lists(pairs, max_size=8))]
    holder, target = data.draw(st.permutations(uuids))[:2]
    found = policy(links)
    net, question = found.network, Question(frozenset({holder}), frozenset({target}))
    if target in reachable(arcs(net), question):
        return
    cures = remedies(found, {}, frozenset({holder}), frozenset(), target)
    assert cures, "a new link always is one"
    for cure in (one for one in cures if one.links or one.relay):
        places = [replace(place, relay=place.relay or place.uuid == cure.relay) for place in net.places]
        assert target in reachable(arcs(network(places, [*net.links, *cure.links], "me")), question)
