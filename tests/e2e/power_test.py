"""Real power cuts: the store's file system is shut down under load, and what was not synced is really gone."""
from support import LONG, main
from torture import power
from torture.case import AttackCase

CUTS = 100 if LONG else 6


class Power(AttackCase):
    def cut(self, kind):
        done, tally = self.run_attack(power.run, kind, CUTS)
        self.assertEqual(done["power cuts on %s" % kind], CUTS)
        self.assert_kept(tally, at_least=100)

    def test_what_was_acknowledged_before_the_power_went_is_there_once_on_ext4(self):
        self.cut("ext4")

    def test_what_was_acknowledged_before_the_power_went_is_there_once_on_xfs(self):
        self.cut("xfs")


if __name__ == "__main__":
    main()
