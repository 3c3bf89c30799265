"""How many servers each version of a rollout needs; having them is for platforms, and waiting for them for decide.

A share of the requests takes as many servers as stable has for it. The candidate has them before it gets the share, and stable keeps
its own until the end, so that a way back never lands on too few.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from canario.model.evidence import Evidence
from canario.model.rollout import RolloutSpec, RolloutState
from canario.rollout.steering import servers_at


def servers_needed(spec: RolloutSpec, state: RolloutState) -> Mapping[str, int]:
    """By version: the fewest servers that it needs now, for what it gets and for what it gets next. A lower bound for autoscalers."""
    ahead = state.step_index if state.next_index is None else max(state.step_index, state.next_index)
    return {state.stable: max(1, state.stable_servers), state.candidate: servers_at(spec, state, ahead)}


def mark_servers(state: RolloutState, evidence: Evidence) -> RolloutState:
    """The state that knows how many servers stable has: the most that were ready in this rollout.

    It falls only where the platform is set to have fewer: somebody has changed a fixed number.
    """
    servers = max(state.stable_servers, evidence.ready.get(state.stable, 0))
    servers = min(servers, max(1, evidence.replicas.get(state.stable, servers)))
    return state if servers == state.stable_servers else replace(state, stable_servers=servers)
