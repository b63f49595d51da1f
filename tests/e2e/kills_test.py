"""kill -9 of daemon and clients in random order, while twenty clients send messages, lines and files at once."""
from support import LONG, main
from torture import kills
from torture.case import AttackCase


class Kills(AttackCase):
    def test_what_was_acknowledged_between_kills_of_daemon_and_clients_is_there_once_in_order_and_whole(self):
        done, tally = kills.run(self.arena, count=500 if LONG else 25)
        self.assert_kept(tally, at_least=200)
        self.assertEqual(sum(done.values()), 500 if LONG else 25)


if __name__ == "__main__":
    main()
