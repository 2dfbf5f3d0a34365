from __future__ import annotations

from dataclasses import replace

import pytest

from promptgrid.cluster.resources import Worker
from promptgrid.cluster.schedule import Schedule, makespan, ranks, work_seconds
from promptgrid.spec import Cell, Pack, Refused, Shared


def cell(name: str, *needs: Cell) -> Cell:
    return Cell(
        track="toy", protocol="toy", method=name, settings={}, backbone="b", dataset="d", shots=1, seed=1,
        selection="last", precision="fp32", identity={"name": name}, needs=tuple(need.key for need in needs),
    )  # fmt: skip


def pack(*cells: Cell, seconds: float = 1.0) -> Pack:
    return Pack(cells, seconds=seconds, wanted=frozenset(each.key for each in cells))


def order(schedule: Schedule) -> list[str]:
    names = []
    while (found := schedule.pop()) is not None:
        names.append(found.cells[0].method)
        for each in found.cells:
            if each.key in found.wanted:
                schedule.settle(each.key, failed=False)
    return names


def test_longest_first_and_plan_order_among_equals() -> None:
    packs = [pack(cell(name), seconds=seconds) for name, seconds in (("a", 1), ("b", 3), ("c", 2), ("d", 3))]
    assert order(Schedule(packs, set())) == ["b", "d", "c", "a"]


def test_a_short_source_of_a_long_chain_goes_before_a_long_pack() -> None:
    source, alone = cell("source"), cell("alone")
    target = cell("target", source)
    packs = [pack(alone, seconds=5), pack(target, seconds=8), pack(source, seconds=1)]
    assert ranks(packs) == [5, 8, 9]
    assert order(Schedule(packs, set())) == ["source", "target", "alone"]


def test_a_pack_waits_for_every_cell_it_needs() -> None:
    first, second = cell("first"), cell("second")
    packs = [pack(cell("target", first, second)), pack(first), pack(second)]
    schedule = Schedule(packs, set())
    taken = [schedule.pop(), schedule.pop()]
    assert schedule.pop() is None
    schedule.settle(first.key, failed=False)
    assert schedule.pop() is None
    schedule.settle(second.key, failed=False)
    assert schedule.pop() is packs[0]
    assert taken == [packs[1], packs[2]]


def test_what_the_store_holds_is_not_waited_for() -> None:
    source = cell("source")
    target = pack(cell("target", source))
    assert Schedule([target], {source.key}).pop() is target


def test_a_failed_source_skips_its_targets_and_theirs_but_not_their_pack_mates() -> None:
    source, other = cell("source"), cell("other")
    lost, kept = cell("lost", source), cell("kept", other)
    last = cell("last", lost)
    schedule = Schedule([pack(source), pack(other), pack(lost, kept), pack(last)], set())
    schedule.settle(source.key, failed=True)
    schedule.settle(other.key, failed=False)
    schedule.pop(), schedule.pop()
    mixed = schedule.pop()
    assert mixed is not None
    assert mixed.wanted == {kept.key}
    assert schedule.pop() is None
    assert [(each.cell.method, each.need) for each in schedule.skipped()] == [
        ("lost", source.key),
        ("last", lost.key),
    ]
    assert schedule.skipped() == []
    assert schedule.blocked == []


def test_a_source_that_failed_for_good_earlier_skips_its_targets() -> None:
    source = cell("source")
    schedule = Schedule([pack(cell("target", source))], set())
    assert schedule.pop() is None
    assert [each.need for each in schedule.skipped()] == [source.key]


def test_needs_inside_one_pack_are_the_tracks_business() -> None:
    source = cell("source")
    both = pack(source, cell("target", source))
    assert Schedule([both], set()).pop() is both


def test_a_part_of_a_pack_can_be_put_in_line_again() -> None:
    first, second = cell("a"), cell("b")
    whole = pack(first, second)
    schedule = Schedule([whole], set())
    schedule.pop()
    half = replace(whole, wanted=frozenset({second.key}))
    schedule.push(half)
    assert schedule.pop() == half


def test_one_resource_class_at_a_time() -> None:
    small, large = pack(cell("small"), seconds=1), pack(cell("large"), seconds=2)
    schedule = Schedule([small, large], set())
    classes = {small.key: Worker(1), large.key: Worker(1, 0.5)}
    schedule.sort_by(lambda each: classes[each.key])
    assert schedule.kinds() == [Worker(1, 0.5), Worker(1)]
    assert schedule.pop(Worker(1)) is small
    assert schedule.pop(Worker(1)) is None
    assert schedule.kinds() == [Worker(1, 0.5)]


def test_a_circle_is_refused() -> None:
    one, other = cell("one"), cell("other")
    packs = [pack(one.model_copy(update={"needs": (other.key,)})), pack(other.model_copy(update={"needs": (one.key,)}))]
    with pytest.raises(Refused, match="in a circle"):
        ranks(packs)


def test_what_turned_out_longer_than_expected_goes_first() -> None:
    packs = [pack(cell(name), seconds=seconds) for name, seconds in (("a", 3), ("b", 2), ("c", 1))]
    schedule = Schedule(packs, set())
    schedule.reweigh(lambda each: 10.0 if each.cells[0].method == "c" else 1.0)
    assert order(schedule) == ["c", "a", "b"]


def test_scouts_go_before_all_others() -> None:
    packs = [pack(cell(name), seconds=seconds) for name, seconds in (("a", 3), ("b", 2), ("c", 1))]
    assert order(Schedule(packs, set(), {packs[2].key})) == ["c", "a", "b"]


def test_workers_share_the_work_and_wait_for_what_they_need() -> None:
    source = cell("source")
    packs = [pack(cell("target", source), seconds=4), pack(source, seconds=3), pack(cell("alone"), seconds=5)]
    assert makespan(packs, 1) == 12
    assert makespan(packs, 2) == 7
    assert makespan(packs, 9) == 7
    assert makespan([], 2) == 0


def test_what_is_needed_from_outside_is_there_already() -> None:
    assert makespan([pack(cell("target", cell("source")), seconds=4)], 1) == 4


def test_what_packs_share_is_waited_for_once() -> None:
    shared = Shared("features", 30.0)
    packs = [replace(pack(cell(f"m{i}"), seconds=10.0), shared=shared) for i in range(4)]
    assert makespan(packs, 1) == pytest.approx(70.0)
    assert makespan(packs, 2) == pytest.approx(50.0), "the second worker waits for the features too"
    assert work_seconds(packs) == pytest.approx(70.0)
