"""The tables, in Markdown: for each work who did it how fast, and what he promised by then; and the goals."""
import dataclasses

from beside.results import ratios, spread

CPROTO = "cproto"  # the system whose figures are those of cproto-bench, its limits among them


@dataclasses.dataclass
class Column:
    figure: str  # as the load client says it
    label: str
    decimals: int = 0


@dataclasses.dataclass
class Row:
    """One of cproto-bench's own: what it is called there, column by column."""

    label: str
    means: str
    figures: tuple


RATE = Column("messages_per_second", "messages/s")
MEGABYTES = Column("megabytes_per_second", "MB/s", 1)
P50 = Column("p50_us", "p50, µs", 1)
P99 = Column("p99_us", "p99, µs", 1)
SYNCED = "**synced**"
LIMIT = "a limit of the machine"


@dataclasses.dataclass
class Table:
    work: str
    section: str
    columns: tuple
    rows: tuple
    smaller_is_better: bool = False  # of the first column


def many(name):
    return Table("W5", f"many-{name}", (RATE, P99), (
        Row("cproto", SYNCED, ("messages_per_second", "p99_us")),
        Row("bare server", SYNCED, ("bare_messages_per_second", "bare_p99_us"))))


TABLES = (
    Table("W1", "throughput", (RATE,), (
        Row("cproto", SYNCED, ("messages_per_second",)),
        Row("cproto, until all is in the inbox", SYNCED, ("delivered_messages_per_second",)),
        Row("bare server", SYNCED, ("bare_messages_per_second",)),
        Row("bare server that reads on", SYNCED, ("bare_eager_messages_per_second",)),
        Row("append + fdatasync of as large batches, no network", LIMIT, ("append_mean_messages_per_second",)))),
    Table("W2", "latency", (P50, P99), (
        Row("cproto", SYNCED, ("cproto_p50_us", "cproto_p99_us")),
        Row("bare server", SYNCED, ("bare_p50_us", "bare_p99_us")),
        Row("ping-pong over loopback", LIMIT, ("pingpong_p50_us", "pingpong_p99_us")),
        Row("4 KiB + fdatasync", LIMIT, ("sync_p50_us", "sync_p99_us"))), smaller_is_better=True),
    Table("W3", "large", (MEGABYTES, RATE), (
        Row("cproto", SYNCED, ("megabytes_per_second", "messages_per_second")),
        Row("cproto, until all is in the inbox", SYNCED, ("delivered_megabytes_per_second", "delivered_messages_per_second")),
        Row("bare server", SYNCED, ("bare_megabytes_per_second", "bare_messages_per_second")),
        Row("bare server that reads on", SYNCED, ("bare_eager_megabytes_per_second", "bare_eager_messages_per_second")),
        Row("append + fdatasync of as large batches, no network", LIMIT,
            ("append_mean_megabytes_per_second", "append_mean_messages_per_second")))),
    Table("W4", "file", (MEGABYTES,), (
        Row("cproto-send", SYNCED, ("cproto_megabytes_per_second",)),
        Row("cproto-send, the digest left out", SYNCED, ("without_digest_megabytes_per_second",)),
        Row("bare copy, CRC-32 and SHA-256", SYNCED, ("bare_copy_megabytes_per_second",)),
        Row("bare copy, CRC-32", SYNCED, ("bare_copy_no_digest_megabytes_per_second",)),
        Row("rsync -W --fsync to its daemon, a new file that is renamed", SYNCED, ("rsync_new_megabytes_per_second",)),
        Row("rsync --inplace -W --fsync to its daemon, over what is there", SYNCED, ("rsync_megabytes_per_second",)),
        Row("dd conv=fdatasync", LIMIT, ("dd_megabytes_per_second",)))),
    many("100-1"), many("100-64"), many("1000-1"), many("1000-64"),
    Table("W6", "idle", (Column("idle_bytes_per_connection", "bytes a connection"),), (
        Row("cproto, each has sent a message", "", ("bytes_per_connection",)),
        Row("cproto, behind the handshake", "", ("handshake_bytes_per_connection",))), smaller_is_better=True),
    Table("W7", "recovery", (Column("gibibytes_per_second", "GiB/s", 2),), (
        Row("cproto, from memory", "", ("gibibytes_per_second",)),
        Row("cproto, from the disk", "", ("cold_gibibytes_per_second",)),
        Row("reading and CRC-32 alone, from memory", LIMIT, ("read_gibibytes_per_second",)),
        Row("reading and CRC-32 alone, from the disk", LIMIT, ("cold_read_gibibytes_per_second",)))),
    Table("TLS", "tls", (RATE,), (
        Row("cproto-send --lines, plain text", SYNCED, ("lines_plain",)),
        Row("cproto-send --lines, TLS", SYNCED, ("lines_tls",)))),
    Table("TLS", "tls", (MEGABYTES,), (
        Row("cproto-send, plain text", SYNCED, ("file_plain",)),
        Row("cproto-send, TLS", SYNCED, ("file_tls",)))),
    Table("client", "client", (RATE,), (
        Row("cproto-send --lines", SYNCED, ("messages_per_second",)),
        Row("cproto-bench, with handshake and close", SYNCED, ("bench_messages_per_second",)),
        Row("cproto-bench, without", SYNCED, ("bench_alone_messages_per_second",)))),
    Table("fairness", "fairness", (P50, P99), (
        Row("nothing beside", SYNCED, ("alone_p50_us", "alone_p99_us")),
        Row("a file beside", SYNCED, ("beside_file_p50_us", "beside_file_p99_us"))), smaller_is_better=True),
    Table("limits", "limits", (Column("crc32_111_gigabytes_per_second", "CRC-32 of 111 bytes, GB/s", 2),
                               Column("crc32_4107_gigabytes_per_second", "of 4,107", 2),
                               Column("append_1024k_megabytes_per_second", "append + fdatasync of 1 MiB, MB/s"),
                               Column("append_4096k_megabytes_per_second", "of 4 MiB"),
                               Column("dd_megabytes_per_second", "dd conv=fdatasync")), (
        Row("this machine", "", ("crc32_111_gigabytes_per_second", "crc32_4107_gigabytes_per_second",
                                 "append_1024k_megabytes_per_second", "append_4096k_megabytes_per_second",
                                 "dd_megabytes_per_second")),)),
)


@dataclasses.dataclass
class Goal:
    """Of one of cproto-bench's figures, or of cproto's beside a peer's (`beside`: of which `theirs`)."""

    work: str
    says: str
    section: str
    figure: str
    bound: float
    at_least: bool = True
    beside: str = ""
    theirs: str = ""

    def values(self, results):
        ours = results.runs(self.section, CPROTO, self.figure)
        return ratios(ours, results.runs(self.section, self.beside, self.theirs)) if self.beside else ours


GOALS = (
    Goal("W1", "of the bare server", "throughput", "ratio_to_bare", 0.8),
    Goal("W1", "times redis `always`", "throughput", "messages_per_second", 10, beside="redis-always", theirs="messages_per_second"),
    Goal("W2", "times ping-pong and fdatasync, p50", "latency", "ratio_p50", 1.2, at_least=False),
    Goal("W2", "times redis `always`, p50", "latency", "cproto_p50_us", 1, at_least=False, beside="redis-always", theirs="p50_us"),
    Goal("W3", "of the bare server", "large", "ratio_to_bare", 0.8),
    Goal("W4", "of the bare copy that does the same checks", "file", "ratio_to_bare", 0.95),
    Goal("W4", "times rsync with a sync and a new file, the digest left out", "file", "without_digest_ratio_to_rsync_new", 1.3),
    Goal("W4", "times rsync with a sync over what is there, the digest left out", "file", "without_digest_ratio_to_rsync", 1.3),
    Goal("W5", "of the bare server, 1,000 connections, 64 in flight", "many-1000-64", "ratio_to_bare", 0.7),
    Goal("W5", "batch times, p99, 1,000 connections, 64 in flight", "many-1000-64", "p99_in_batches", 5, at_least=False),
    Goal("W6", "bytes an idle connection", "idle", "bytes_per_connection", 700, at_least=False),
    Goal("W6", "% CPU with no connection", "idle", "rest_cpu_percent", 0.1, at_least=False),
    Goal("W6", "% CPU with all of them idle", "idle", "cpu_percent", 1, at_least=False),
    Goal("W7", "GiB/s", "recovery", "gibibytes_per_second", 1),
    Goal("client", "of cproto-bench on the same lines", "client", "ratio_to_bench", 0.85),
)


def number(value, decimals):
    return f"{value:,.{decimals}f}"


def cell(values, decimals):
    if not values:
        return ""
    median, least, largest = (number(value, decimals) for value in spread(values))
    return f"**{median}**" if len(values) == 1 else f"**{median}** ({least} … {largest})"


def line(*cells):
    return "| " + " | ".join(cells) + " |"


def head(*cells):
    return [line(*cells), line(*["---"] * len(cells))]


def ratio_cell(table, ours, theirs):
    values = ratios(theirs, ours) if table.smaller_is_better else ratios(ours, theirs)
    return cell(values, 2 if values and spread(values)[0] < 10 else 1)


def table_lines(table, results, peers):
    """Own rows, then the peers, best first."""
    ours = results.runs(table.section, CPROTO, table.rows[0].figures[0])
    lines = ["", f"### {table.work}: {results.headings.get(table.section, table.section)}", ""]
    factor = "it : cproto" if table.smaller_is_better else "cproto : it"
    lines += head("", "acknowledged means", *[column.label for column in table.columns], factor)
    for index, row in enumerate(table.rows):
        values = [results.runs(table.section, CPROTO, figure) for figure in row.figures]
        if values[0]:
            lines.append(line(row.label, row.means, *[cell(v, c.decimals) for v, c in zip(values, table.columns)],
                              ratio_cell(table, ours, values[0]) if index else ""))
    measured = [peer for peer in peers if results.runs(table.section, peer.name, table.columns[0].figure)]
    best = lambda peer: spread(results.runs(table.section, peer.name, table.columns[0].figure))[0]
    for peer in sorted(measured, key=best, reverse=not table.smaller_is_better):
        values = [results.runs(table.section, peer.name, column.figure) for column in table.columns]
        means = "" if table.section == "idle" else SYNCED if peer.durable else f"not synced: {peer.means}"
        lines.append(line(peer.label, means, *[cell(v, c.decimals) for v, c in zip(values, table.columns)],
                          ratio_cell(table, ours, values[0])))
    return lines + [f"\n{sentence}" for sentence in results.notes.get(table.section, [])]


def goal_lines(results):
    rows = []
    for goal in GOALS:
        values = goal.values(results)
        if not values:
            continue
        median = spread(values)[0]
        met = median >= goal.bound if goal.at_least else median <= goal.bound
        rows.append(line(goal.work, ("at least " if goal.at_least else "at most ") + f"{goal.bound:g} {goal.says}", cell(values, 3),
                         "yes" if met else "no"))
    return ["", "### Goals", "", *head("work", "goal", "measured", "met?"), *rows] if rows else []


def to_markdown(results, peers, plots=()):
    lines = ["# cproto beside others, and beside what the machine can do", "",
             f"`{results.about['command']}`: medians of {results.about['runs']} runs, with least and largest. In each run everything was "
             "measured one after the other; ratios are made run by run.", ""]
    lines += [f"- {name}: {value}" for name, value in results.about["machine"].items()]
    lines += [f"- beside: {', '.join(results.about['versions']) or 'nothing'}"]
    lines += [f"- **failed**: {failure}" for failure in results.failures]
    lines += [f"- left out: {label}, because {why}" for label, why in results.left_out.items()]
    for table in TABLES:
        if results.runs(table.section, CPROTO, table.rows[0].figures[0]):
            lines += table_lines(table, results, peers)
    lines += goal_lines(results)
    return "\n".join(lines + ["", *[f"![{name}]({name}.svg)" for name in plots]]) + "\n"
