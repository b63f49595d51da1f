"""A private authority, made with the six lines of openssl that the manual has."""
import pathlib
import subprocess


class Authority:
    def __init__(self, directory, name="authority"):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.ca = self.directory / (name + ".pem")
        self.key = self.directory / (name + ".key")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
                     "-subj", "/CN=" + name, "-keyout", self.key, "-out", self.ca)

    def openssl(self, *arguments):
        ended = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60)
        assert ended.returncode == 0, ended.stderr

    def sign(self, name, hosts="", days=30, file=None):
        """(certificate, key), files. `hosts`: "DNS:logs.example,IP:127.0.0.1". Negative days: it has expired."""
        stem = self.directory / (file or name)
        key, request, certificate, extensions = (stem.with_suffix(end) for end in (".key", ".csr", ".pem", ".ext"))
        extensions.write_text("subjectAltName=" + hosts if hosts else "")
        self.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                     "/CN=" + name, "-keyout", key, "-out", request)
        self.openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.key, "-CAcreateserial", "-days", days,
                     "-extfile", extensions, "-out", certificate)
        key.chmod(0o600)
        return certificate, key
