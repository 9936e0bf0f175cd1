"""Faults of a network, each on lines of packets that come every 10 ms."""

import pytest

from .faults import Bursts, Delay, Duplicates, Fate, Jitter, Line, Loss, Moves, Outage, Reorder

TIMES = [(index + 0.5) * 0.01 for index in range(5_000)]
ALL = (Loss(0.1), Bursts(10, 0.3, 2), Delay(0.03), Jitter(0.02), Reorder(0.02, 0.05), Duplicates(0.02, 0.01), Moves(7))


def fates(*faults, seed=1):
    line = Line(faults, seed)
    return [line.take(at) for at in TIMES]


def delays(*faults, seed=1):
    return [fate.delays for fate in fates(*faults, seed=seed)]


def arrivals(*faults):
    """(arrival, number) of every copy, in their order."""
    return sorted((at + delay, number) for number, (at, found) in enumerate(zip(TIMES, delays(*faults)))
                  for delay in found)


def test_a_line_without_faults_passes_everything_at_once():
    assert set(fates()) == {Fate((0.0,), 0)}


def test_the_same_seed_and_times_make_the_same_fates_and_another_seed_makes_others():
    assert fates(*ALL, seed=7) == fates(*ALL, seed=7)
    assert fates(*ALL, seed=7) != fates(*ALL, seed=8)


def test_what_one_fault_does_changes_nothing_of_the_chance_of_another():
    lost = [found == () for found in delays(Loss(0.1))]
    assert lost == [found == () for found in delays(Loss(0.1), Jitter(0.02))]


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1])
def test_loss_takes_its_share_and_no_two_packets_together(share):
    lost = [found == () for found in delays(Loss(share))]
    assert sum(lost) / len(lost) == pytest.approx(share, rel=0.25)
    # After a loss the next is no likelier lost than any.
    after = [second for first, second in zip(lost, lost[1:]) if first]
    assert sum(after) / len(after) < 2.5 * share


def test_a_burst_takes_everything_for_its_length_and_nothing_else():
    bursts = Bursts(every_s=10, length_s=0.3, first_s=2)
    lost = [number for number, found in enumerate(delays(bursts)) if found == ()]
    assert lost == [100 * begin + index for begin in (2, 12, 22, 32, 42) for index in range(30)]
    assert bursts.begins(42) == [2, 12, 22, 32]
    assert bursts.begins(42.1) == [2, 12, 22, 32, 42]
    assert bursts.begins(1) == []


def test_an_outage_takes_everything():
    assert set(delays(Outage())) == {()}


def test_delay_is_the_same_for_all():
    assert set(delays(Delay(0.03))) == {(0.03,)}


def test_jitter_differs_within_its_bound_and_keeps_the_order():
    found = [delay for delay, in delays(Jitter(0.05))]
    assert 0 <= min(found) < 0.01 and 0.04 < max(found) <= 0.05
    assert [number for _, number in arrivals(Jitter(0.05))] == list(range(len(TIMES)))


def test_a_reordered_packet_comes_behind_those_sent_meanwhile():
    order = [number for _, number in arrivals(Reorder(0.02, 0.055))]
    assert sorted(order) == list(range(len(TIMES)))
    late = [number for number, found in enumerate(delays(Reorder(0.02, 0.055))) if found == (0.055,)]
    assert late and all(order.index(number) > order.index(number + 1) for number in late[:-1] if number + 1 not in late)


def test_duplicates_come_twice():
    copies = [len(found) for found in delays(Duplicates(0.05, 0.01))]
    assert set(copies) == {1, 2}
    assert copies.count(2) / len(copies) == pytest.approx(0.05, rel=0.25)


def test_a_lost_packet_has_no_copies_and_a_copy_may_be_lost_by_itself():
    assert set(delays(Outage(), Duplicates(1))) == {()}
    assert {len(found) for found in delays(Duplicates(1), Loss(0.5))} == {0, 1, 2}


def test_an_address_changes_as_often_as_it_is_to():
    found = [fate.address for fate in fates(Moves(20))]
    assert found == [int(at // 20) for at in TIMES] and found[-1] == 2
