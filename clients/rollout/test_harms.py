"""What a rollout catches by its statistics, with real models and real requests: a slow candidate by its 99th percentile,
traffic that does not have the parts that were declared, labels that come after a promotion and speak against it, and a
worse candidate before many have met it."""

import concurrent.futures
import contextlib
import statistics

from harms import Biased, Crowd, Late, Slow
from test_rollouts import models

__all__ = ["models"]


def test_a_slow_candidate_is_rolled_back_by_its_99th_percentile(server, models):
    slow = Slow([server])
    slow.deploy()
    slow.begin()
    with slow:
        slow.verdict(server)


def test_traffic_without_the_parts_that_were_declared_is_not_decided_on(server, models):
    biased = Biased([server], models)
    biased.deploy()
    biased.begin()
    with biased:
        biased.verdict(server)


def test_labels_that_come_after_a_promotion_take_it_back(server, models):
    late = Late([server], models)
    late.deploy()
    late.begin()
    with late:
        late.promoted(server)
    late.verdict(server)


def test_a_worse_candidate_meets_less_than_two_percent_of_the_users_in_the_median(start):
    # What so many ask is read again for each rollout: a journal of its own.
    server = start()
    with Crowd.logged(server):
        crowds = [Crowd(number, [server]) for number in range(5)]
    for crowd in crowds:
        crowd.deploy()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(Crowd.begin, crowds))
    with contextlib.ExitStack() as stack:
        for crowd in crowds:
            stack.enter_context(crowd)
        met = [crowd.part(server) for crowd in crowds]
    # Without a rollback it would be five percent, and half of them later.
    assert statistics.median(met) < 0.02, sorted(met)
