"""What somebody at a shell meets: one row a situation, with the command, its status, and the line that is said."""
import resource
import socket
import subprocess
import threading
from typing import NamedTuple

from support import ShellCase, main, stored

AT = r"127\.0\.0\.1:\d+"
FOLDER = r"is a folder; send it with: tar cz \S+ \| cproto-send --as NAME\.tgz -"
SEE = r" \(see cproto-send --help\)"

# Before each command. `arrived N` waits for N lines in the inbox; fd 9 is a pipe that nobody reads any more.
PRELUDE = r"""
arrived() { until [ "$(cat "$INBOX/messages.log" 2>/dev/null | wc -l)" -ge "$1" ]; do sleep 0.02; done; }
without_privileges() { if [ $UID = 0 ]; then setpriv --bounding-set=-all --inh-caps=-all "$@"; else "$@"; fi; }
mkfifo .broken; exec 8<>.broken 9>.broken 8<&-; rm .broken
printf 'I am a\n' >a; printf 'I am b\n' >b; printf secret >secret; chmod 0 secret; mkdir folder; cp a folder
"""


class Row(NamedTuple):
    name: str  # a sentence
    command: str
    status: int = 0
    says: str = ""  # all of standard error, and
    prints: str = ""  # of standard output, as regular expressions; "cproto-send: " is left out
    lands: dict = {}  # all of the client's inbox


ROWS = [
    # Success says nothing.
    Row("a message is durable when the command ends",
        'cproto-send -m "backup done"', lands={"messages.log": "backup done\n"}),
    Row("each word behind -m is a message, and -m says that a dash is meant",
        'cproto-send -m one "" -m --three -c notes', lands={"notes.log": "one\n\n--three\n"}),
    Row("what a program writes arrives line by line, the last without its newline too",
        "printf 'one\\ntwo' | cproto-send", lands={"messages.log": "one\ntwo\n"}),
    Row("an empty input is no message",
        "cproto-send </dev/null && true | cproto-send --lines -"),
    Row("a file arrives under its name",
        "cproto-send ./a folder/../b", lands={"files/a": "I am a\n", "files/b": "I am b\n"}),
    Row("standard input arrives as a file where a name is given",
        "tac a b | cproto-send --as c -", lands={"files/c": "I am a\nI am b\n"}),
    Row("a pipe of its own is sent to its end",
        "mkfifo pipe; cat a >pipe & cproto-send pipe", lands={"files/pipe": "I am a\n"}),
    Row("what another command prints is a file with <()",
        "cproto-send --as list <(ls folder)", lands={"files/list": "a\n"}),
    Row("a symbolic link sends what it leads to",
        "ln -s a link; cproto-send link", lands={"files/link": "I am a\n"}),
    Row("a file without a size, as in /proc, is sent to its end",
        "cproto-send --as version /proc/version && cmp /proc/version $INBOX/files/version; rm $INBOX/files/version"),
    Row("a name of spaces, a dash or bytes that are no UTF-8 stays as it is",
        r"cp a -- -m; cp a $'caf\xe9 au lait'; cproto-send -- -m caf*",
        lands={"files/-m": "I am a\n", "files/caf\udce9 au lait": "I am a\n"}),
    Row("a message of bytes is stored as it is, with its length and checksum",
        "cproto-send --binary a", lands={"messages.bin": stored(b"I am a\n").decode(errors="surrogateescape")}),

    # What is said when it is asked for.
    Row("-v is one line about the connection and one about the end",
        "cproto-send -v --lines a", says=rf"connected to {AT}: cprotod/\S+, store [0-9a-f]+, congestion control \w+\n1 line \(6 B\) durable on {AT} in .*",
        lands={"messages.log": "I am a\n"}),
    Row("--json is one object at the end",
        "cproto-send --json a nothing", 66, r"nothing: No such file or directory",
        r'\{"status":66,"causes":\[66\],.*"messages":2,"durable":1,.*"problems":\["nothing: No such .*\}',
        {"files/a": "I am a\n"}),
    Row("--json is one object where nothing could be begun, too",
        "cproto-send --json --lines nothing", 66, r"nothing: No such file or directory",
        r'\{"status":66,"causes":\[66\],"reason":"nothing: No such file or directory",.*\}'),
    Row("--check says what was found, and sends nothing",
        "cproto-send --check", prints=rf"{AT}: cprotod/.*, protocol version 1, store .*\nmode burst, .*\nround trip .*"),
    Row("--version and --help are answers",
        "cproto-send --version; cproto-send --help", prints=r"cproto-send \d+\.\d+\.\d+.*\n(?s:.*--follow.*)"),

    # Where nobody listens to it.
    Row("a broken pipe never ends a transfer",
        "cproto-send -v --json --trace -m x >&9 2>&9", lands={"messages.log": "x\n"}),
    Row("closed streams never end a transfer",
        "cproto-send -v --json --trace -m x <&- >&- 2>&-", lands={"messages.log": "x\n"}),
    Row("a full disk under the output never ends a transfer",
        "cproto-send -v --json --trace -m x >/dev/full 2>/dev/full", lands={"messages.log": "x\n"}),
    Row("help that nobody reads ends as other commands do",
        "cproto-send --help >&9", 141),

    # 64: the command is wrong. Nothing is sent.
    Row("without anything to send on a terminal it says how",
        "script -qec cproto-send /dev/null", 64,
        prints=r"nothing to send: say -m TEXT, --lines FILE or FILE\.\.\., or pipe lines in" + SEE),
    Row("an unknown option is named",
        "cproto-send --colour -m x", 64, "unknown option --colour" + SEE),
    Row("a wrong value is named with what is right",
        "cproto-send --operation-mode fast -m x", 64, "--operation-mode fast: burst or step-by-step" + SEE),
    Row("an option without its value is named",
        "cproto-send -m x -s", 64, "--server-addr needs a value" + SEE),
    Row("a client id that could leave the inbox is refused",
        "cproto-send -i ../etc -m x", 64, r'client id "\.\./etc": it has 1 to 64 of A-Z .*' + SEE),
    Row("a server is no URL",
        "cproto-send -s http://logs -m x", 64, r'server "http://logs": write HOST, HOST:PORT or \[ADDR\]:PORT' + SEE),
    Row("messages and files are two commands",
        "cproto-send -m x -q a", 64, r'"a": with -m there are no files; say -m before each message' + SEE),
    Row("a variable that is empty is no file of lines",
        'cproto-send --lines "$LOG" <a', 64, "--lines needs a FILE, or nothing behind it" + SEE),
    Row("two files of one name would replace each other",
        "cproto-send a folder/a", 64,
        "a and folder/a have the same name, and one would replace the other; send them apart, with --as NAME" + SEE),
    Row("standard input beside files needs a name",
        "cproto-send a - <b", 64, "standard input as a file needs a name: --as NAME" + SEE),
    Row("a name leads nowhere else",
        "cproto-send --as ../a a", 64, r'--as "\.\./a": a name has 1 to 255 bytes, no slash, no control bytes' + SEE),
    Row("a name has at most 255 bytes",
        "cproto-send --as $(printf %0256d 0) a", 64, r'--as "0{256}": a name has 1 to 255 bytes, .*' + SEE),

    # 65: some is refused for good. The rest is durable.
    Row("a line of 100 MiB is refused by its number, and the others arrive",
        r"{ echo one; head -c 100M /dev/zero | tr '\0' x; echo; echo three; } | cproto-send", 65,
        "line 2: larger than 64 MiB\n1 of 3 lines was refused; the rest is durable", lands={"messages.log": "one\nthree\n"}),
    Row("a file larger than the server takes is refused, and the others arrive",
        "truncate -s 3M large; cproto-send large a", 65, "large: larger than 2 MiB\n1 of 2 files was refused; the rest is durable",
        lands={"files/a": "I am a\n"}),
    Row("a name with a line feed is none, and the others arrive",
        r"cp a $'new\nline'; cproto-send new* a", 65, r"new\\x0aline: not a name for a file; say another with --as NAME",
        lands={"files/a": "I am a\n"}),

    # 66: an input is missing. The others are durable.
    Row("a missing file is named, and the others arrive",
        "cproto-send a nothing b", 66, "nothing: No such file or directory", lands={"files/a": "I am a\n", "files/b": "I am b\n"}),
    Row("an unreadable file is named, and the others arrive",
        "without_privileges cproto-send a secret b", 66, "secret: Permission denied",
        lands={"files/a": "I am a\n", "files/b": "I am b\n"}),
    Row("a folder is named with what to do, and the others arrive",
        "cproto-send folder a .. folder/", 66, "folder: %s\n%s: %s\nfolder/: %s" % (FOLDER, r"\.\.", FOLDER, FOLDER),
        lands={"files/a": "I am a\n"}),
    Row("sockets and devices are named, and the others arrive",
        "cproto-send $SOCKET /dev/zero a", 66,
        r"\S+: is a socket; .*\n/dev/zero: is a device; what is sent are files, and pipes to their end",
        lands={"files/a": "I am a\n"}),
    Row("a link that leads nowhere is missing",
        "ln -s nowhere link; cproto-send link", 66, "link: No such file or directory"),
    Row("a variable that is empty is a missing file",
        'cproto-send "$FILE" a', 66, '"": No such file or directory', lands={"files/a": "I am a\n"}),
    Row("a folder has no lines",
        "cproto-send --lines folder", 66, "folder: Is a directory"),
    Row("a closed standard input is none, whatever it was to be",
        "for what in --lines --binary '--as x -'; do cproto-send $what <&-; done", 66,
        "\n".join(3 * ["standard input: Bad file descriptor"])),

    # 68 and 69: no server.
    Row("a host that does not exist ends at once",
        "cproto-send -s $(printf %064d 0).example -m x", 68, r"0+\.example: no such host name"),
    Row("a server that is down is waited for as long as is said",
        "cproto-send -s $NOBODY -m x --timeout 300ms", 69,
        rf"{AT}: connection refused; is cprotod running, and does it listen on this address\? Next try in .*\n"
        r"nothing became durable for 0\.3 s \(connection refused\); 0 of 1 message is"),
    Row("a server that is down is no reason for --check to wait",
        "cproto-send -s $NOBODY --check", 69, rf"{AT}: connection refused; is cprotod running, and does it listen on this address\?"),
    Row("the next server is turned to when the first is down",
        "cproto-send -s $NOBODY -s $CPROTO_SERVER -m x", 0,
        rf"{AT}: connection refused; .*\? Trying {AT}\n{AT}: reached after .*", lands={"messages.log": "x\n"}),
    Row("a server that takes the connection and keeps silent is named",
        "cproto-send -s $SILENT -m x --timeout 300ms", 69,
        rf"nothing became durable for 0\.3 s \(connected to {AT}, but no SYN-ACK\); 0 of 1 message is"),
    Row("an unanswered file goes on with the same command",
        "cproto-send -s $NOBODY --timeout 300ms -q a", 69,
        r"nothing became durable for 0\.3 s \(connection refused\); 0 of 1 file is; the same command continues"),

    # 71 to 75: this machine, and what it has to wait for.
    Row("too few descriptors are said",
        "(ulimit -n 4; cproto-send -m x); ulimit -n 9; cproto-send -m x", 71, "\n".join(2 * ["too many open files; ulimit -n allows too few"])),
    Row("a log is followed only where its place can be remembered",
        "cproto-send --state /proc/none --follow a", 73,
        "/proc/none: No such file or directory; say a folder to remember in with --state DIR"),
    Row("a file is sent without a place to remember it, too, and that is said",
        "cproto-send --state /proc/none a", 0, "/proc/none: No such file or directory; if this is interrupted it will begin anew",
        lands={"files/a": "I am a\n"}),
    Row("reading that fails midway is named",
        "cproto-send --lines /proc/self/mem; cproto-send /proc/self/mem", 74, "\n".join(2 * ["/proc/self/mem: Input/output error"])),
    Row("a log that is being followed is not followed twice",
        "cproto-send --follow a & arrived 1; cproto-send --follow a; status=$?; kill $!; wait $! && exit $status", 75,
        r"a is being followed already \(pid \d+\)\ninterrupted by SIGTERM; 1 line is acknowledged.*",
        lands={"messages.log": "I am a\n"}),
    Row("a server whose disk is full is waited for",
        "yes | head -c 9M >yes; cproto-send -s $FULL --lines yes --timeout 3s", 75,
        rf"{AT} says: (the server's disk is full|disk below its floor) .*; [\d,]+ lines are durable; next try in .*\n"
        r"nothing became durable for 3 s \((the server's disk is full|disk below its floor) .*\); .* lines read are; the same command continues"),

    # 76: something else.
    Row("SSH does not speak cproto",
        "cproto-send -s $SSH -m x", 76, rf'{AT} does not speak cproto: it says "SSH-2\.0-OpenSSH_9\.2"'),
    Row("HTTP does not speak cproto",
        "cproto-send -s $HTTP a", 76, rf'{AT} does not speak cproto: it says "HTTP/1\.1 400 Bad Request"'),
    Row("TLS does not speak cproto in the clear",
        "cproto-send -s $TLS --check", 76, rf"{AT} does not speak cproto in the clear: it wants TLS"),

    # Signals.
    Row("Ctrl-C says what is acknowledged, and the shell sees it",
        "mkfifo p; exec 3<>p; echo one >&3; set -m; cproto-send --lines p & set +m; arrived 1; kill -INT $!; wait $!", 130,
        "interrupted by SIGINT; 1 line is acknowledged", lands={"messages.log": "one\n"}),
    Row("SIGTERM makes durable what was read, the line without its end too",
        "mkfifo p; exec 3<>p; printf 'one\\ntwo' >&3; cproto-send --lines p & arrived 1; kill $!; wait $!", 143,
        "interrupted by SIGTERM; 2 lines are acknowledged", lands={"messages.log": "one\ntwo\n"}),
    Row("what nohup protects goes on through SIGHUP",
        "mkfifo p; exec 3<>p; echo one >&3; nohup cproto-send --lines p 3>&- & "
        "arrived 1; kill -HUP $!; echo two >&3; arrived 2; exec 3>&-; wait $!",
        lands={"messages.log": "one\ntwo\n"}),
    Row("following ends with 0 when it is told to end",
        "cproto-send --follow a & arrived 1; kill $!; wait $!",
        0, "interrupted by SIGTERM; 1 line is acknowledged; the same command continues", lands={"messages.log": "I am a\n"}),
]


class Stranger:
    """Takes connections, reads a little, answers this, and leaves; without an answer it stays and keeps silent."""

    def __init__(self, answer):
        self.answer, self.connections = answer, []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.server.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            connection, _ = self.server.accept()
            self.connections.append(connection)
            if self.answer:
                connection.recv(1000)
                connection.sendall(self.answer)
                connection.close()


class Shell(ShellCase):
    CONFIG = "[limits]\nfile_size = \"2MiB\"\n"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(cls.place / "socket"))
        # Bound and never listening: refused, and nobody else's.
        cls.nobody = socket.socket()
        cls.addClassCleanup(cls.nobody.close)
        cls.nobody.bind(("127.0.0.1", 0))
        cls.variables = {"CPROTO_SERVER": cls.served.server, "SOCKET": cls.place / "socket",
                         "NOBODY": "127.0.0.1:%d" % cls.nobody.getsockname()[1]}
        for name, answer in (("SSH", b"SSH-2.0-OpenSSH_9.2\r\n"), ("HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
                             ("TLS", b"\x15\x03\x01\x00\x02\x02\x16"), ("SILENT", b"")):
            cls.variables[name] = Stranger(answer).address

    def full_server(self):
        disk = self.place / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", disk], capture_output=True).returncode != 0:
            self.skip_or_fail("no tmpfs can be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", disk], capture_output=True)
        daemon = self.serve("disk/daemon", "[store]\nsegment_size = \"1MiB\"\n")
        with open(disk / "ballast", "wb") as ballast:
            try:
                while True:
                    ballast.write(bytes(1 << 20))
            except OSError:
                pass
        return daemon.server

    def check(self, row, client):
        variables = {"FULL": self.full_server()} if "$FULL" in row.command else {}
        self.assert_shell(PRELUDE + row.command, row.status, row.says, row.prints, row.lands, client, **variables, **self.variables)
        self.assertLess(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, 64 << 10, "KiB of memory")


for number, one in enumerate(ROWS):
    setattr(Shell, "test_%02d_%s" % (number, one.name.replace(" ", "_")),
            lambda self, row=one, client="row-%d" % number: self.check(row, client))


if __name__ == "__main__":
    main()
