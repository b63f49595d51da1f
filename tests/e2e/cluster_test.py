"""Two daemons, three servers of a stream and a balancer: what scripts/cluster-demo shows, and kill -9 of all of them."""
from support import LONG, main
from torture import cluster
from torture.case import AttackCase


class Cluster(AttackCase):
    def test_each_line_is_in_the_stream_once_whoever_is_killed(self):
        self.assertTrue(self.run_attack(cluster.show, lines=200_000 if LONG else 40_000, say=lambda line: None))

    def test_what_was_acknowledged_between_kills_of_servers_daemons_and_clients_is_in_the_stream_once_and_in_order(self):
        done, tally = self.run_attack(cluster.run, 100 if LONG else 15)
        self.assert_kept(tally, at_least=100)
        self.assertEqual(sum(done.values()), 100 if LONG else 15)


if __name__ == "__main__":
    main()
