"""Another store in the place of the one that acknowledged is named at both ends, and nothing goes to it."""
from support import LONG, main
from torture import other_store
from torture.case import AttackCase


class OtherStore(AttackCase):
    def test_an_older_copy_and_an_empty_store_are_named_at_both_ends_and_the_right_one_goes_on(self):
        done, tally = self.run_attack(other_store.run, count=5 if LONG else 1)
        self.assert_kept(tally, at_least=20)
        self.assertGreaterEqual(done["stores exchanged"], 3)


if __name__ == "__main__":
    main()
