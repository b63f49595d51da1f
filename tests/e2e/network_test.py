"""What a network does: connections killed, packets lost, late, repeated, out of order and corrupted, peers that stand still."""
from support import LONG, main
from torture import network
from torture.case import AttackCase


class Network(AttackCase):
    def test_daemon_and_clients_that_stand_still_for_longer_than_every_timeout_lose_nothing(self):
        done, tally = self.run_attack(network.stand_still, count=60 if LONG else 4)
        self.assert_kept(tally)
        self.assertGreater(sum(done.values()), 0)

    def test_connections_killed_and_packets_dropped_at_random_lose_nothing(self):
        done, tally = self.run_attack(network.filtered, count=100 if LONG else 8)
        self.assert_kept(tally)
        self.assertGreater(done["connections killed"] + done["spells of loss"], 0)

    def test_a_link_that_delays_loses_repeats_reorders_and_corrupts_loses_nothing(self):
        done, tally = self.run_attack(network.bad_link, count=30 if LONG else 3)
        self.assert_kept(tally)
        self.assertGreater(done["packets carried"], 100)


if __name__ == "__main__":
    main()
