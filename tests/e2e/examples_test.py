"""The examples of the manual and of the README are run as they are printed, but for the names in SUBSTITUTIONS."""
import os
import re
import shutil
import subprocess
from typing import NamedTuple

from authority import Authority
from support import BIN, ROOT, ShellCase, main

PAGES = [ROOT / "client" / "cproto-send.1.scd", ROOT / "daemon" / "cprotod.8.scd", ROOT / "daemon" / "cprotoctl.1.scd"]
JOURNAL_TOOL = "/lib/systemd/systemd-journal-remote"

SUBSTITUTIONS = [
    (r"logs\.example", "$SERVER"), (r"/var/lib/cproto", "$STORE"), (r"/var/log/", "var/log/"), (r"cz /etc ", "cz etc "),
    (r"/tmp/store", "$STORE"), (r"7781", "$PORT"), (r"^cprotod$", "cprotod --directory $STORE --port $PORT"),
    (r"cprotod --verify", "cprotod --directory $STORE --verify"), (r"cprotoctl (why|--json)", r"cprotoctl --directory $STORE \1"),
    (r"--journal\b", "--journal --directory journal"),
    (r'"held"', '"connected"'),  # nobody is held on demand
]

# Programs that the examples name, and what the preparations use.
PRELUDE = r"""
mkdir -p bin var/log/nginx etc; PATH=$PWD/bin:$PATH; touch etc/passwd
program() { { echo '#!/bin/sh'; cat; } >bin/$1; chmod +x bin/$1; }
program my-program <<<'printf "one\ntwo\n"'
program handle-event <<<'echo "<$1>"'
program systemctl <<<'echo systemctl "$@"'
printf 'one\ntwo\n' | tee access.log app.log >var/log/nginx/access.log; echo image >disk.img; echo report >report.pdf
arrived() { until [ "$(cat "$INBOX/$1" 2>/dev/null | wc -l)" -ge "$2" ]; do sleep 0.02; done; }
another() { STORE=$PWD/another PORT=0; }
is_up() { until cprotoctl --directory $STORE status >/dev/null 2>&1; do sleep 0.02; done; }
entry() { printf '__REALTIME_TIMESTAMP=1600000000000000\nMESSAGE=%s\nPRIORITY=%d\n\n' $1 $2; }
journal() { mkdir journal; { entry good 6; entry bad 3; } | """ + JOURNAL_TOOL + r""" -o journal/a.journal - 2>/dev/null; }
"""


class Example(NamedTuple):
    run: str = "EXAMPLE"
    prints: str = ""  # on standard output: a regular expression for all of it
    says: str = ""  # and on standard error
    lands: dict = {}  # in the client's inbox


STOPPED = r"interrupted by SIGTERM; .* acknowledged; the same command continues"
LINES = "one\ntwo\n"

EXAMPLES = {
    # README
    "cprotod": Example("another; EXAMPLE & is_up; kill $!; wait $!", says=r"(?s:.*listening on 127\.0\.0\.1:.*stopped; .*)"),
    'cproto-send -s logs.example -m "backup done"': Example(lands={"messages.log": "backup done\n"}),
    "cproto-send -s logs.example --lines access.log": Example(lands={"messages.log": LINES}),
    "cproto-send -s logs.example --follow app.log":
        Example("EXAMPLE & arrived messages.log 2; kill $!; wait $!", says=STOPPED, lands={"messages.log": LINES}),
    "cproto-send -s logs.example --journal":
        Example("journal; EXAMPLE & arrived messages.log 2; kill $!; wait $!; "
                "grep -c MESSAGE $INBOX/messages.log; rm $INBOX/messages.log",
                "2", STOPPED),
    "my-program | cproto-send -s logs.example": Example(lands={"messages.log": LINES}),
    # cproto-send(1)
    'cproto-send -s logs.example -m "backup of $(hostname) done" || logger "not reported"':
        Example(lands={"messages.log": "backup of %s done\n" % os.uname().nodename}),
    "my-program | cproto-send -s logs.example -c my-program": Example(lands={"my-program.log": LINES}),
    "cproto-send -s logs.example disk.img report.pdf": Example(lands={"files/disk.img": "image\n", "files/report.pdf": "report\n"}),
    "tar cz /etc | cproto-send -s logs.example --as etc.tgz -":
        Example("EXAMPLE && tar tzf $INBOX/files/etc.tgz; rm $INBOX/files/etc.tgz", "etc/\netc/passwd"),
    "cproto-send -s logs.example -c nginx --follow /var/log/nginx/access.log":
        Example("EXAMPLE & arrived nginx.log 2; kill $!; wait $!", says=STOPPED, lands={"nginx.log": LINES}),
    "cproto-send -s logs.example -c journal --journal PRIORITY=3 + _SYSTEMD_UNIT=nginx.service":
        Example("journal; EXAMPLE & arrived journal.log 1; kill $!; wait $!; "
                "grep -o '\"MESSAGE\":\"[a-z]*\"' $INBOX/journal.log; rm $INBOX/journal.log",
                '"MESSAGE":"bad"', STOPPED),
    "cproto-send -s logs.example --check": Example(prints=r"127\.0\.0\.1:\d+: cprotod/(?s:.*)"),
    # cprotod(8)
    "cprotod --directory /tmp/store --port 7781 &":
        Example("another\nEXAMPLE\nis_up; kill $!; wait $!", says=r"(?s:.*listening on 127\.0\.0\.1:.*stopped; .*)"),
    "cproto-send -p 7781 -m hello": Example(lands={"messages.log": "hello\n"}),
    "cprotoctl --directory /tmp/store status": Example(prints=r"state +well\n(?s:.*)"),
    "cprotod --verify && systemctl start cprotod":
        Example("another; cprotod --directory $STORE --port 0 2>/dev/null & is_up; kill $!; wait $!; EXAMPLE",
                r"(?s:.*every checksum agrees.*)\nsystemctl start cprotod"),
    # cprotoctl(1)
    "cprotoctl why web-1":
        Example("mkfifo p; exec 3<>p; echo one >&3; cproto-send -s $SERVER -i web-1 --lines p & INBOX=$STORE/inbox/web-1; "
                "arrived messages.log 1; EXAMPLE; kill -9 $!",
                r"web-1 \(session .*\) waits for nothing.*"),
    "cprotoctl --json sessions | jq -r '.[] | select(.state == \"held\").client'":
        Example("mkfifo p; exec 3<>p; echo one >&3; cproto-send -s $SERVER --lines p & arrived messages.log 1; EXAMPLE; kill -9 $!",
                "(?s:.*)client-\\d+(?s:.*)", lands={"messages.log": "one\n"}),
    "cprotoctl cat --null /var/lib/cproto/inbox/web-1/events.bin | xargs -0 -n1 handle-event":
        Example("cproto-send -s $SERVER -i web-1 -c events --binary -m one 'two words'; "
                "until [ \"$(cat $STORE/inbox/web-1/events.bin 2>/dev/null | wc -c)\" = 28 ]; do sleep 0.02; done; EXAMPLE",
                "<one>\n<two words>"),
}


def blocks(text):
    return re.findall(r"(?ms)^```\n(.*?)^```$", text)


def printed():
    """Each command that is shown as an example, without the remark behind it."""
    texts = [path.read_text().split("\n# EXAMPLES\n")[1].split("\n# ")[0] for path in PAGES]
    texts.append((ROOT / "README.md").read_text().split("\n## Using it\n")[1].split("\n## ")[0])
    return [re.sub(r"\s+# .*", "", line) for text in texts for block in blocks(text) for line in block.splitlines()]


class Examples(ShellCase):
    def test_each_that_is_printed_is_run_here_and_no_other(self):
        self.assertEqual(set(printed()), set(EXAMPLES))

    def test_those_of_the_configuration_are_accepted(self):
        shown = blocks((ROOT / "config" / "cproto.toml.5.scd").read_text().split("\n# EXAMPLES\n")[1])
        self.assertTrue(shown)
        Authority(self.directory, "ca").sign("logs")
        for block in shown:
            path = self.directory / "cproto.toml"
            path.write_text(block.replace("/etc/cproto", str(self.directory)))
            done = subprocess.run([BIN / "cprotod", "--config", path, "--check-config"], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def check(self, command, example, client):
        for word, tool in (("jq", "jq"), ("--journal", JOURNAL_TOOL)):
            if word in command and not shutil.which(tool):
                self.skip_or_fail("no %s here" % tool)
        for pattern, replacement in SUBSTITUTIONS:
            command = re.sub(pattern, replacement, command)
        self.assert_shell(PRELUDE + example.run.replace("EXAMPLE", command), 0, example.says, example.prints, example.lands, client,
                          SERVER=self.served.server, STORE=self.served.store, PORT=self.served.port)


for number, (line, one) in enumerate(EXAMPLES.items()):
    setattr(Examples, "test_%02d: %s" % (number, line), 
            lambda self, line=line, one=one, client="client-%d" % number: self.check(line, one, client))


if __name__ == "__main__":
    main()
