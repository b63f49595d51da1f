"""The manual and the completions say what the programs take, and nothing else."""
import re
import shutil
import subprocess

from support import BIN, ROOT, TestCase, main, wait_for

PAGES = {"cproto-send": ROOT / "client" / "cproto-send.1.scd", "cprotod": ROOT / "daemon" / "cprotod.8.scd",
         "cprotoctl": ROOT / "daemon" / "cprotoctl.1.scd", "cproto.toml": ROOT / "config" / "cproto.toml.5.scd"}
COMPLETIONS = {"cproto-send": ROOT / "client" / "completion", "cprotod": ROOT / "daemon" / "completion",
               "cprotoctl": ROOT / "daemon" / "completion"}
COMMANDS = ["status", "sessions", "why", "kick", "forget", "drain", "reload", "verify", "metrics", "key", "cat"]
# What each can end with by now.
STATUSES = {"cproto-send": {0, 64, 65, 66, 68, 69, 70, 71, 73, 74, 75, 76, 77},
            "cprotod": {0, 64, 65, 70, 71, 73, 74, 75, 77, 78}, "cprotoctl": {0, 64, 65, 66, 69, 73, 74, 75, 77, 78}}
SECTIONS = {"cproto-send": ["OPTIONS", "ENVIRONMENT", "FILES", "FOLLOWING A LOG", "A LONG WAY", "ENCRYPTION", "AS A SERVICE", "SIGNALS", "EXIT STATUS", "THE BORDERS OF THE PROMISE", "EXAMPLES"],
            "cprotod": ["OPTIONS", "ENVIRONMENT", "FILES", "SIGNALS", "THE LOG", "EXIT STATUS", "EXAMPLES"],
            "cprotoctl": ["COMMANDS", "OPTIONS", "FILES", "EXIT STATUS", "EXAMPLES"], "cproto.toml": ["FILES", "EXAMPLES"]}


def help_of(program, *command):
    return subprocess.run([BIN / program, *command, "--help"], capture_output=True, text=True, check=True).stdout


def long_options(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))


def short_options(text):
    return set(re.findall(r"(?<![\w-])-[a-z](?![\w-])", text))


def options_of(program):
    found = long_options(help_of(program)) | {"--help"}
    if program == "cprotoctl":
        for command in [*([c] for c in COMMANDS), ["key", "remove"]]:
            found |= long_options(help_of(program, *command))
    return found


def plain(page):
    return PAGES[page].read_text().replace("\\_", "_").replace("\\*", "*")


class Manual(TestCase):
    def test_each_page_names_every_option_and_no_other(self):
        for program in ("cproto-send", "cprotod", "cprotoctl"):
            # One program's page may speak of another's, and of systemctl's and journalctl's.
            others = set().union(*(options_of(p) for p in COMPLETIONS)) | {"--now", "--null", "--all"}
            named = long_options(plain(program))
            self.assertEqual(options_of(program) - named, set(), program)
            self.assertEqual(named - others, set(), program)
            headed = set(re.findall(r"(?m)^(?:\*-\w\*, )?\*(--[a-z-]+)\*", plain(program)))
            self.assertEqual(headed - options_of(program), set(), program)
            headed = set(re.findall(r"(?m)^\*(-\w)\*", plain(program)))
            self.assertEqual(headed, short_options(help_of(program)) | {"-h"}, program)

    def test_each_page_has_its_sections(self):
        for page, sections in SECTIONS.items():
            headed = re.findall(r"(?m)^# (.*)$", plain(page))
            self.assertEqual(set(["NAME", "DESCRIPTION", *sections, "SEE ALSO"]) - set(headed), set(), page)
            self.assertEqual((headed[0], headed[-1]), ("NAME", "SEE ALSO"), page)

    def test_variables_and_fields_are_those_of_the_code(self):
        for page, source in (("cproto-send", "client/cli.cc"), ("cprotod", "daemon/journal_entry.cc")):
            known = set(re.findall(r'"(CPROTO_[A-Z_]+)"', (ROOT / source).read_text()))
            self.assertEqual(set(re.findall(r"\*(CPROTO_[A-Z_]+)\*", plain(page))), known, page)

    def test_each_command_of_cprotoctl_is_in_its_page(self):
        commands = plain("cprotoctl").split("# COMMANDS")[1].split("# OPTIONS")[0]
        self.assertEqual(re.findall(r"(?m)^\*([a-z]+)\*(?: |$)", commands), COMMANDS)
        self.assertEqual([line.split()[0] for line in help_of("cprotoctl").split("Subcommands:\n")[1].splitlines() if line],
                         COMMANDS)

    def test_each_key_is_in_its_page_at_its_default_with_its_range(self):
        printed = subprocess.run([BIN / "cprotod", "--config", "/dev/null", "--print-config"], capture_output=True, text=True,
                                 check=True).stdout
        expected, section = [], ""
        for line in printed.splitlines():
            if line.startswith("["):
                section = line[1:-1]
            elif line and line[0] != "#":
                expected.append((section, *line.split(" = ", 1)))
        named, section = [], ""
        for line in plain("cproto.toml").splitlines():
            if line.startswith("# ["):
                section = line[3:-1]
            elif found := re.match(r"\*(\w+)\* = (.*?)(?: \*\[R\]\*)?$", line):
                named.append((section, found.group(1), found.group(2)))
        self.assertEqual([one for one in named if one[0] != "client.NAME"], expected)
        shipped = (ROOT / "config" / "cproto.toml").read_text().split("# [client.web-1]\n")[1]
        self.assertEqual([one[1] for one in named if one[0] == "client.NAME"], re.findall(r"(?m)^# (\w+) = ", shipped))

        wrong = self.directory / "wrong.toml"
        for section, key, value in expected:
            wrong.write_text("[%s]\n%s = \"1 wrong\"\n" % (section, key))
            said = subprocess.run([BIN / "cprotod", "--config", wrong, "--check-config"], capture_output=True, text=True).stderr
            if found := re.search(r"from (\S+ to \S+?)(?:,|$)", said):
                text = plain("cproto.toml").split("*%s* = " % key)[1].split("\n\n")[0]
                self.assertIn(found.group(1), text, key)

    def test_restart_is_marked_as_in_the_shipped_file(self):
        shipped = (ROOT / "config" / "cproto.toml").read_text()
        marked, needs = set(re.findall(r"(?m)^\*(\w+)\* = .* \*\[R\]\*$", plain("cproto.toml"))), False
        expected = set()
        for line in shipped.split("\n\n", 1)[1].splitlines():
            if line.startswith("# "):
                needs = line.endswith("[R]")
            elif found := re.match(r"#(\w+) = ", line):
                expected |= {found.group(1)} if needs else set()
            else:
                needs = False
        self.assertEqual(marked, expected)

    def test_every_exit_status_is_explained(self):
        client = set(map(int, re.findall(r"= (\d+),", (ROOT / "client" / "status.h").read_text())))
        daemon = set(map(int, re.findall(r"= (\d+);", (ROOT / "daemon" / "exit_status.h").read_text())))
        self.assertEqual(STATUSES["cproto-send"], client)
        self.assertEqual(STATUSES["cprotod"] | STATUSES["cprotoctl"], daemon | {0})
        for program, statuses in STATUSES.items():
            text = plain(program).split("# EXIT STATUS")[1].split("\n# ")[0]
            self.assertEqual({int(s) for line in re.findall(r"(?m)^(\*\d+\*.*)$", text)
                              for s in re.findall(r"\*(\d+)\*", line)}, statuses, program)

    def test_the_pages_are_pages(self):
        if not shutil.which("scdoc") or not shutil.which("man"):
            self.skip_or_fail("no scdoc, or no man")
        for page, path in PAGES.items():
            roff = self.directory / page
            roff.write_bytes(subprocess.run(["scdoc"], stdin=open(path), capture_output=True, check=True).stdout)
            shown = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", roff], capture_output=True, text=True,
                                   env={"PATH": "/usr/bin:/bin", "MANWIDTH": "100", "MANROFFSEQ": "", "LC_ALL": "C.UTF-8"})
            self.assertEqual((shown.returncode, shown.stderr), (0, ""), page)
            self.assertIn("SEE ALSO", shown.stdout)


class Completion(TestCase):
    def complete(self, program, *words):
        """What bash would offer behind these words."""
        script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _%s; printf "%%s\\n" "${COMPREPLY[@]}"'
                  % program.replace("-", "_"))
        done = subprocess.run(["bash", "--norc", "-c", script, "bash", COMPLETIONS[program] / (program + ".bash"), program,
                               *words], capture_output=True, text=True, cwd=self.directory,
                              env={"PATH": "%s:/usr/bin:/bin" % BIN})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()

    def test_the_shells_can_read_them(self):
        for shell, name in (("bash", "%s.bash"), ("zsh", "_%s")):
            if shutil.which(shell):
                for program, folder in COMPLETIONS.items():
                    said = subprocess.run([shell, "-n", folder / (name % program)], capture_output=True, text=True)
                    self.assertEqual((said.returncode, said.stderr), (0, ""), program)

    def test_bash_offers_every_option(self):
        for program in ("cproto-send", "cprotod"):
            self.assertEqual(set(o for o in self.complete(program, "--") if o.startswith("--")), options_of(program))
            self.assertEqual(short_options(" ".join(self.complete(program, "-"))), short_options(help_of(program)) | {"-h"})
        self.assertEqual([w for w in self.complete("cprotoctl", "") if w[0] != "-"], COMMANDS)
        self.assertEqual(set(self.complete("cprotoctl", "cat", "--")), {"--null", "--raw"})
        self.assertEqual(self.complete("cprotoctl", "--json", "metrics", "--o"), ["--output"])

    def test_bash_offers_values(self):
        self.assertEqual(self.complete("cproto-send", "--operation-mode", "s"), ["step-by-step"])
        for name in ("app.log", "a.bin"):
            (self.directory / name).touch()
        self.assertEqual(self.complete("cproto-send", "--lines", "a"), ["a.bin", "app.log"])
        self.assertEqual(self.complete("cprotoctl", "cat", "a"), ["a.bin"])
        self.assertEqual(self.complete("cproto-send", "-m", "a"), [])

    def test_bash_offers_values_behind_an_equals_sign(self):
        (self.directory / "a.toml").touch()
        self.assertEqual(self.complete("cproto-send", "--operation-mode", "="), ["burst", "step-by-step"])
        self.assertEqual(self.complete("cproto-send", "--operation-mode", "=", "b"), ["burst"])
        self.assertEqual(self.complete("cprotod", "--config", "=", "a"), ["a.toml"])
        self.assertEqual(self.complete("cprotoctl", "metrics", "--output", "=", "a"), ["a.toml"])

    def test_bash_offers_the_clients_and_sessions_of_a_daemon(self):
        daemon = self.daemon()
        sender = self.sender(daemon, client="web-1", stdin=subprocess.PIPE)
        sender.stdin.write(b"a line\n")
        sender.stdin.flush()
        where = ["--directory", str(daemon.store)]
        # On a busy machine it may be late, and then nothing is offered.
        def offers(*words):
            return wait_for(lambda: self.complete("cprotoctl", *words), "names are offered")
        self.assertEqual(offers(*where, "why", ""), ["web-1"])
        self.assertEqual(offers("--directory", "=", str(daemon.store), "sessions", "w"), ["web-1"])
        session, = offers(*where, "forget", "")
        self.assertRegex(session, "^[0-9a-f]{8}$")
        self.assertEqual(offers(*where, "kick", ""), ["web-1", session])
        self.assertEqual(self.complete("cprotoctl", "--directory", str(self.directory), "why", ""), [])

    def test_zsh_knows_every_option(self):
        for program, folder in COMPLETIONS.items():
            text = (folder / ("_" + program)).read_text()
            self.assertTrue(text.startswith("#compdef %s\n" % program))
            self.assertEqual(long_options(text.replace("=[", " [").replace("}", " ")), options_of(program), program)


if __name__ == "__main__":
    main()
