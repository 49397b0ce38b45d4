"""The view of what `connect` is about to do."""

from __future__ import annotations

import sys

from git_annex_syncx.phases.connect import Proposal
from git_annex_syncx.views.base import clean, console_on, json_line


def show_proposal(proposal: Proposal, as_json: bool) -> None:
    """Show the steps, numbered, or as one JSON object."""
    if as_json:
        json_line({
            "event": "proposal", "remote": proposal.name, "address": proposal.address, "makes": proposal.makes,
            "steps": list(proposal.steps),
        })  # fmt: skip
        return
    for number, step in enumerate(proposal.steps, start=1):
        console_on(sys.stdout).print(clean(f"{number}. {step}"), soft_wrap=True)
