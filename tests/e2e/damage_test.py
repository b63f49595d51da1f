"""One byte of a sealed journal is flipped: the daemon starts, says so, and loses at most the record that was hit."""
from support import LONG, main
from torture import damage
from torture.case import AttackCase


class Damage(AttackCase):
    def test_a_flipped_byte_costs_at_most_the_record_that_was_hit_and_the_daemon_says_so(self):
        done, tally = self.run_attack(damage.some_bytes, count=500 if LONG else 10)
        self.assert_kept(tally)
        self.assertGreaterEqual(done["bytes flipped, restarted"], 10)

    def test_each_byte_in_turn_costs_at_most_what_it_belongs_to(self):
        done, tally = self.run_attack(damage.every_byte, step=1 if LONG else 79)
        self.assert_kept(tally)
        self.assertGreater(done["bytes flipped"], 40_000 if LONG else 400)
        self.assertGreater(done["of them cost a message"], 0)


if __name__ == "__main__":
    main()
