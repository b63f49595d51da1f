"""What was measured: for each section of a work, of each system, the values of a figure, one of each run, or None where a run has none."""
import json
import statistics
import sys


class Results:
    def __init__(self, about):
        self.run = 0  # under way
        self.about = about  # the machine, the versions, the command
        self.headings = {}  # of sections
        self.left_out = {}  # system -> why
        self.notes = {}  # section -> what has to be known of it
        self.failures = []  # works that cproto did not do, and why
        self.values = {}  # section -> system -> figure -> values

    def add(self, section, system, figures):
        found = self.values.setdefault(section, {}).setdefault(system, {})
        for figure, value in figures.items():
            values = found.setdefault(figure, [])
            values.extend([None] * (self.run - len(values)))
            values.append(value)

    def fail(self, work, why):
        self.failures.append(f"run {self.run + 1}, {work}: {why}")
        print(f"failed: {self.failures[-1]}", file=sys.stderr)

    def note(self, section, sentence):
        sentences = self.notes.setdefault(section, [])
        if sentence not in sentences:
            sentences.append(sentence)

    def runs(self, section, system, figure):
        return self.values.get(section, {}).get(system, {}).get(figure, [])

    def systems(self, section):
        return list(self.values.get(section, {}))

    def write(self, path):
        everything = {"about": self.about, "left_out": self.left_out, "failures": self.failures, "headings": self.headings,
                      "notes": self.notes, "results": self.values}
        path.write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")


def spread(values):
    """Median, least and largest; of an even number of values the lower middle, which was measured."""
    values = [value for value in values if value is not None]
    return statistics.median_low(values), min(values), max(values)


def ratios(ours, theirs):
    """Run by run: each is compared with what was measured beside it."""
    return [our / their for our, their in zip(ours, theirs) if our is not None and their]
