"""How the programs of a test belong: CPROTO_E2E_TLS=keys or =certificates, or plain text where it is not set.

Each client that a test sends as gets its key or its certificate when it first sends. Peers that a test plays itself speak
plain text in any case: every daemon lets it in.
"""
import atexit
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from authority import Authority

KIND = os.environ.get("CPROTO_E2E_TLS", "")
assert KIND in ("", "keys", "certificates"), "CPROTO_E2E_TLS=%s" % KIND

# Client ids, as far as they go into a certificate.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
# What a test says itself of TLS.
OWN_OPTIONS = {"--key", "--ca", "--certificate", "--certificate-key", "--tls"}


class Credentials:
    """Of all daemons and clients of a run."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cproto-e2e-credentials-"))
        atexit.register(shutil.rmtree, self.directory, ignore_errors=True)
        self.keys = self.directory / "keys"
        self.keys.touch(mode=0o600)
        self.known = {}
        self.daemons = []

    def section(self, config):
        """What is to stand behind this configuration."""
        if not KIND or "[tls]" in config:
            return ""
        if KIND == "keys":
            return '\n[tls]\nkeys = "%s"\nallow_plain = true\n' % self.keys
        certificate, key = self.server_certificate()
        return '\n[tls]\nkeys = ""\ncertificate = "%s"\ncertificate_key = "%s"\nclient_ca = "%s"\nallow_plain = true\n' % (
            certificate, key, self.authority.ca)

    def server_certificate(self):
        if not hasattr(self, "authority"):
            self.authority = Authority(self.directory / "authority")
            self.server = self.authority.sign("the server", hosts="IP:127.0.0.1,IP:::1,DNS:localhost")
        return self.server

    def of(self, client, programs):
        """The options with which a cproto-send is this client."""
        if client not in self.known:
            self.known[client] = self.new_key(client, programs) if KIND == "keys" else self.new_certificate(client)
        return self.known[client]

    def new_key(self, client, programs):
        path = self.directory / ("key-%d" % len(self.known))
        running = [d.store for d in self.daemons if d.process and d.process.poll() is None]
        control = ["--directory", running[0]] if running else ["--socket", self.directory / "nobody"]
        line = self.run(programs / "cprotoctl", *control, "key", "--file", self.keys, "add", client)
        path.write_bytes(line)
        path.chmod(0o600)
        for store in running[1:]:
            self.run(programs / "cprotoctl", "--directory", store, "reload")
        return ["--key", path]

    def new_certificate(self, client):
        self.server_certificate()
        certificate, key = self.authority.sign(client, file="client-%d" % len(self.known))
        # Whatever the name under which a test reaches the server.
        return ["--ca", self.authority.ca, "--certificate", certificate, "--certificate-key", key, "--server-name", "localhost"]

    @staticmethod
    def run(*command):
        ended = subprocess.run([*map(str, command)], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        assert ended.returncode == 0, ended.stderr.decode()
        return ended.stdout


CREDENTIALS = Credentials() if KIND else None


def with_section(config):
    return config + CREDENTIALS.section(config) if CREDENTIALS else config


def on_started(daemon):
    if CREDENTIALS and daemon not in CREDENTIALS.daemons:
        CREDENTIALS.daemons.append(daemon)


def options_of(client, arguments, programs):
    """Nothing in plain text, or if the test says itself how its client belongs."""
    if not CREDENTIALS or not NAME.fullmatch(client or "") or OWN_OPTIONS & {str(a).split("=")[0] for a in arguments}:
        return []
    return CREDENTIALS.of(client, programs)
