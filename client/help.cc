#include "client/help.h"

namespace cproto::client {

const char* const kHelp =
    R"(cproto-send: send messages, lines and files to a cprotod, each acknowledged once it is on disk there, exactly once

cproto-send [-s HOST[:PORT]]... [OPTIONS] -m TEXT...       messages
cproto-send [-s HOST[:PORT]]... [OPTIONS] --lines [FILE|-] each line a message; also without operands, when
                                                           standard input is no terminal
cproto-send [-s HOST[:PORT]]... [OPTIONS] FILE...          files; - with --as NAME: standard input as a file
cproto-send [-s HOST[:PORT]]... [OPTIONS] --binary FILE... each file a message
cproto-send [-s HOST[:PORT]]... [OPTIONS] --follow FILE    the lines of a growing log, for ever
cproto-send [-s HOST[:PORT]]... [OPTIONS] --journal [MATCH...]
                                                           the entries of the systemd journal, for ever
cproto-send [-s HOST[:PORT]]... --check                    connect, shake hands, close; say what was found

What to send:
  -m TEXT...             a message; may be repeated, be empty, and begin with a dash
  -l, --lines [FILE|-]   each line of FILE or of standard input
      --as NAME          the one FILE's name there
      --binary           messages of bytes, to <channel>.bin: each -m, each FILE, or all of standard input

      --follow FILE      the lines of a log as they come; rotated, it is read to its end first
      --journal          the entries of the systemd journal as they come, each a line of JSON; those that fit the
                         MATCHes, FIELD=VALUE as in journalctl
      --directory DIR    with --journal: the journals in DIR instead of this machine's
      --from-end         with --follow and --journal, the first time: only what comes from now on

Where to:
  -s, --server-addr A    HOST, HOST:PORT or [ADDR]:PORT (127.0.0.1); repeat it for servers to turn to as long as
                         nothing is acknowledged
  -p, --server-port N    port where none is given (7780)
  -i, --client-id ID     who sends (the host name)
  -c, --channel NAME     which log it goes to (messages)

Who is who:
      --key FILE         this client's key, as "cprotoctl key add NAME" printed it on the server: encrypts
      --ca FILE          encrypts, and believes whose certificate this authority signed
      --certificate FILE, --certificate-key FILE
                         with --ca or --tls: shows this certificate
      --tls              encrypts, and believes whom this machine believes
      --server-name NAME the name that is to be in the server's certificate (the host of -s)

How:
      --operation-mode M     burst, or step-by-step: one frame at a time (burst)
      --window-size N        frames in flight, 1 to 32767 (32767)
      --max-packet-size N    payload of a frame: 1024, 64KiB (64KiB)
      --congestion NAME      of TCP: auto is bbr on long ways, where the kernel allows it; system; cubic, bbr... (auto)
      --require LEVEL        send only where an acknowledged message is synced to disk (fsync), or on several servers
                             (replicated), or wherever the server calls it durable (any)
      --restart              begin anew, where an earlier run of the same command was interrupted
      --state DIR            where is remembered how far files have come ($STATE_DIRECTORY, $XDG_STATE_HOME/cproto or
                             ~/.local/state/cproto)
      --timeout T            give up when nothing has become durable for T: 30s, 10min; a bare number is seconds, 0 is
                             never (10min; never for standard input, --follow and --journal)

What is said:
  -q, --quiet            errors only
  -v, --verbose          a summary at the end, and each connection
      --json             one JSON object on standard output at the end
      --trace            one line a frame on standard error
      --version, --help

CPROTO_SERVER, CPROTO_CLIENT_ID, CPROTO_CHANNEL and CPROTO_KEY stand in for -s, -i, -c and --key.

Exit status: 0 everything is durable; 64 wrong arguments; 65 some refused for good; 66 an input is missing; 68 no such
host; 69 server not reached; 73 no place for state; 74 reading failed; 75 nothing became durable in time; 76 not a cproto server, or not the
store; 77 not permitted. Any but 0: not known to be whole; part of it may be there.
)";

}  // namespace cproto::client
