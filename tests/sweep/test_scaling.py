"""The simulated cluster, against sweeps whose length is known in closed form."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.cluster_scaling import Costs, Group, groups_of, simulate
from benchmarks.sweep import synthetic_cells
from rsc_snn.sweep.cells import CLEAN

FREE = Costs(0.0, 0.0, 0.0)
GROUP = Group(1.0, ((2.0, 3.0), (4.0,)))

seconds = st.floats(0.01, 10)
groups = st.lists(
    st.builds(
        Group, seconds, st.lists(st.lists(seconds, min_size=1, max_size=4).map(tuple)).map(tuple)
    ),
    min_size=1,
    max_size=4,
)


def test_one_worker_takes_the_sum_and_many_the_longest_chain() -> None:
    one = simulate([GROUP], 4, 1, FREE)
    assert (one.cells, one.makespan, one.work, one.efficiency) == (4, 10.0, 10.0, 1.0)
    many = simulate([GROUP], 400, 1000, FREE)
    assert (many.cells, many.makespan, many.longest) == (400, 6.0, 6.0)
    assert many.limit == "longest chain 100%"


def test_two_workers_take_turns_as_the_engine_does() -> None:
    # The clean cell alone; then 2 + 3 beside 4.
    assert simulate([GROUP], 4, 2, FREE).makespan == 6.0


def test_a_slow_parent_or_scheduler_is_found_out() -> None:
    parent = simulate([Group(1.0, ())], 1000, 100, Costs(0.01, 0.09, 0.0))
    assert parent.makespan == pytest.approx(100.0, rel=0.02)
    assert parent.limit.startswith("parent")
    scheduler = simulate([Group(1.0, ())], 1000, 100, Costs(0.0, 0.0, 0.1))
    assert scheduler.makespan == pytest.approx(101.0, rel=0.02)
    assert scheduler.limit.startswith("scheduler")


@settings(max_examples=100, deadline=None)
@given(groups, st.integers(1, 60), st.integers(1, 9), st.floats(0, 1), st.floats(0, 1))
def test_no_sweep_beats_its_bounds(
    recorded: list[Group], least: int, workers: int, parent: float, scheduler: float
) -> None:
    found = simulate(recorded, least, workers, Costs(parent / 2, parent / 2, scheduler))
    assert found.cells >= least
    bounds = found.work / workers, found.parent, found.scheduler, found.longest
    assert found.makespan >= max(bounds) * (1 - 1e-9)
    # Nothing is ever idle for no reason: at any moment all workers are busy, or parent or scheduler
    # are, or a cell of the chain runs that ends last (Graham's bound of list scheduling).
    delays = found.cells * (parent + scheduler)
    assert found.makespan <= found.work / workers + found.longest + delays + 1e-9


def test_recorded_cells_become_groups() -> None:
    cells = synthetic_cells(2 * 7, chains=2, length=3)
    found = groups_of(cells[::-1], lambda cell: 0.5 if cell.attack == CLEAN else cell.epsilon)
    assert found == [Group(0.5, ((1.0, 2.0, 3.0), (1.0, 2.0, 3.0)))] * 2
    headless = [cell for cell in cells if cell.epsilon != 1.0]
    assert groups_of(headless, lambda cell: 1.0) == [Group(1.0, ())] * 2
