"""What the short forms in tests/e2e have in common."""
import support
from torture.arena import Arena, CannotBeDone


class AttackCase(support.TestCase):
    """`arena` is the test's own, and ends with it. What the machine cannot do skips the test."""

    def setUp(self):
        super().setUp()
        self.arena = Arena(self.directory, "%d %s" % (support.SEED, self.id()))
        self.daemons = self.arena.daemons
        self.addCleanup(self.arena.end)

    def run_attack(self, attack, *arguments, **options):
        try:
            return attack(self.arena, *arguments, **options)
        except CannotBeDone as reason:
            self.skip_or_fail(str(reason))

    def assert_kept(self, tally, at_least=1):
        """Nothing acknowledged is missing or there twice, and there was something that could have been."""
        self.assertEqual(tally.problems, [])
        self.assertGreaterEqual(tally.acknowledged, at_least)
