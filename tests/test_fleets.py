"""Fleets, simulated by the real planner: plans are shallow, and done soon for no more than they cost."""

from __future__ import annotations

import random
from collections.abc import Callable

import fleets
import pytest
from fleets import Fleet


@pytest.mark.parametrize(
    ("kind", "deep", "rounds"), [(fleets.mesh, 1, 1), (fleets.sites, 2, 1), (fleets.star_behind_line, 2, 2)]
)
@pytest.mark.parametrize("noise", [None, random.Random(1)])
def test_who_syncs_by_cron_has_a_new_key_soon(
    kind: Callable[..., Fleet], deep: int, rounds: int, noise: random.Random | None
) -> None:
    for seed in range(3):
        fleet = kind(random.Random(seed), 12, noise)
        course = fleets.by_cron(fleet, random.Random(seed))
        assert fleet.depth <= deep
        assert course.lasted <= rounds
        assert fleet.cost(course.moved) == fleet.plan.lower_bound
        assert kind is not fleets.sites or fleet.far(course.moved) == 2


def test_hooks_send_over_a_far_line_what_the_plan_does() -> None:
    for seed in range(10):
        fleet = fleets.two_sites(random.Random(seed), 8)
        course = fleets.by_hooks(fleet, random.Random(seed))
        assert {target for _, target in course.moved} == fleet.everyone - {fleet.first}
        assert len(course.moved) == 7, "nobody gets it twice"
        assert fleet.far(course.moved) == 1


def test_a_drive_that_is_seen_for_one_hour_a_day_gets_its_key() -> None:
    for seed in range(4):
        rng = random.Random(seed)
        assert fleets.by_hours(*fleets.drawer(rng), rng).lasted <= 2 * fleets.DAY
