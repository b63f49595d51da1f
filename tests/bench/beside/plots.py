"""The plots, SVG by gnuplot: who is how fast, and how cproto's throughput and latency grow."""
import shutil
import subprocess

from beside.results import spread
from beside.table import CPROTO

SIZE = "820,480"
GROWTH = {"window": "window, messages in flight", "size": "bytes of a message", "connections": "connections, 64 in flight on each"}
NAMES = ("throughput", *[f"growth-{kind}" for kind in GROWTH])
BARS = (("cproto", CPROTO, "messages_per_second"), ("bare server", CPROTO, "bare_messages_per_second"))


def gnuplot(program, environment, script, name, folder):
    path = folder / f"{name}.gnuplot"
    path.write_text(f"set terminal svg size {SIZE} background rgb 'white' font 'sans,13'\nset output '{name}.svg'\n" + script,
                    encoding="utf-8")
    subprocess.run([program, path.name], cwd=folder, env=environment, check=True)


def write_data(path, rows):
    path.write_text("".join(" ".join(str(value) for value in row) + "\n" for row in rows), encoding="utf-8")


def bar_rows(results, peers):
    """Label, least, median, largest, and whether it was synced by then."""
    found = [(label, results.runs("throughput", system, figure), 1) for label, system, figure in BARS]
    found += [(peer.label, results.runs("throughput", peer.name, "messages_per_second"), int(peer.durable)) for peer in peers]
    rows = []
    for label, values, durable in found:
        if values:
            median, least, largest = spread(values)
            rows.append((f'"{label}"', median, least, largest, durable))
    return sorted(rows, key=lambda row: row[1])


def draw_bars(results, peers, draw, folder):
    rows = bar_rows(results, peers)
    write_data(folder / "throughput.dat", rows)
    draw(f"""set title "{results.headings.get('throughput', 'throughput')}"
set xlabel 'messages/s'
set logscale x
set format x '10^{{%T}}'
set yrange [-0.6:{len(rows) - 0.4}]
set xrange [100:*]
set style fill solid 0.85
set boxwidth 0.6
set grid x
set key bottom right
plot 'throughput.dat' using (100):0:(100):($5==1?$2:100):($0-0.3):($0+0.3):ytic(1) with boxxyerror \\
        lc rgb '#2a7f62' title 'synced when acknowledged', \\
     '' using (100):0:(100):($5==0?$2:100):($0-0.3):($0+0.3) with boxxyerror lc rgb '#c9a227' title 'not synced', \\
     '' using 2:0:3:4 with xerrorbars lc rgb 'black' pt 0 notitle
""", "throughput")


def growth_rows(results, section):
    figures = results.values.get(section, {}).get(CPROTO, {})
    points = sorted({int(figure.split(".")[0]) for figure in figures})
    median = lambda point, name: spread(figures[f"{point}.{name}"])[0]
    names = ("messages_per_second", "bare_messages_per_second", "p99_us", "bare_p99_us")
    return [(point, *[median(point, name) for name in names]) for point in points]


def draw_growth(results, kind, draw, folder):
    rows = growth_rows(results, f"growth-{kind}")
    if not rows:
        return
    name = f"growth-{kind}"
    write_data(folder / f"{name}.dat", rows)
    rate, unit = ("({0}*$1/1e6)", "MB/s") if kind == "size" else ("({0})", "messages/s")
    ours, bare = rate.format("$2"), rate.format("$3")
    draw(f"""set xlabel '{GROWTH[kind]}'
set ylabel '{unit}'
set y2label 'p99 of an acknowledgement, µs'
set logscale xyy2
set format y '10^{{%T}}'
set format y2 '10^{{%T}}'
set ytics nomirror
set y2tics
set grid
set key outside below
plot '{name}.dat' using 1:{ours} with linespoints lw 2 pt 7 lc rgb '#2a7f62' title 'cproto, {unit}', \\
     '' using 1:{bare} with linespoints lw 1 pt 6 lc rgb '#2a7f62' dt 2 title 'bare server, {unit}', \\
     '' using 1:4 axes x1y2 with linespoints lw 2 pt 5 lc rgb '#b5432e' title 'cproto, p99', \\
     '' using 1:5 axes x1y2 with linespoints lw 1 pt 4 lc rgb '#b5432e' dt 2 title 'bare server, p99'
""", name)


def draw_all(results, peers, folder, unpack):
    """Returns their names. `unpack`: gets the program if it is not installed."""
    for name in NAMES:  # of an earlier run
        (folder / f"{name}.svg").unlink(missing_ok=True)
    program, environment = shutil.which("gnuplot"), None
    if program is None:
        unpacked = unpack()
        program, environment = unpacked.program("gnuplot"), unpacked.environment
    drawn = []

    def draw(script, name):
        gnuplot(program, environment, script, name, folder)
        drawn.append(name)

    if results.systems("throughput"):
        draw_bars(results, peers, draw, folder)
    for kind in GROWTH:
        draw_growth(results, kind, draw, folder)
    return drawn
