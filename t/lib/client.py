"""Clients for what dialogues cannot say: they talk line by line, and log in with SCRAM's proofs."""
import base64
import socket
import ssl

from scram import Scram


class Client:
    """One line a reply. The greeting is read."""

    def __init__(self, suite, kind, tls=None):
        self.sock = socket.create_connection(("127.0.0.1", suite.ports[kind]), timeout=30)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="mail.a.test")
        self.file = self.sock.makefile("rb")
        self.reply()

    def reply(self):
        """"" at the end of the connection."""
        return self.file.readline().decode().rstrip("\r\n")

    def ask(self, line):
        self.sock.sendall(line.encode() + b"\r\n")
        return self.reply()

    def close(self):
        self.file.close()
        self.sock.close()


def context(suite, version=ssl.TLSVersion.TLSv1_3):
    ctx = ssl.create_default_context(cafile=str(suite.ca))
    ctx.maximum_version = version
    return ctx


def refused(client, suite, kind):
    """Whether nobody new is let in."""
    try:
        client(suite, kind).close()
    except OSError:
        return True
    return False


def scram(client, go_on, mech, user, password, bind=None):
    """The last reply, and whether the server proved that it knows the password. go_on: what a
    challenge begins with. bind: another channel's binding than the client's own."""
    binding = bind or (client.sock.get_channel_binding("tls-unique") if mech.endswith("PLUS")
                       else None)
    s = Scram(user, password, ("tls-unique", binding) if binding else None)
    challenge = client.ask(f"AUTH {mech} {base64.b64encode(s.first()).decode()}")
    if not challenge.startswith(go_on):
        return challenge, False
    answer = s.final(base64.b64decode(challenge[len(go_on):]))
    proof = client.ask(base64.b64encode(answer).decode())
    if not proof.startswith(go_on):
        return proof, False
    return client.ask(""), s.verify(base64.b64decode(proof[len(go_on):]))


def scram_tests(suite, connect, go_on, good, bad):
    """connect(TLS context): a client that may log in. good, bad: what the replies begin with."""
    tls12 = ssl.TLSVersion.TLSv1_2
    user, password = "alice@a.test", "secret-alice"
    for name, mech, secret, version, bind in (
            ("SCRAM-SHA-256", "SCRAM-SHA-256", password, ssl.TLSVersion.TLSv1_3, None),
            ("SCRAM-SHA-256 with a wrong password", "SCRAM-SHA-256", "wrong",
             ssl.TLSVersion.TLSv1_3, None),
            ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256-PLUS", password, tls12, None),
            ("SCRAM-SHA-256-PLUS over somebody else's channel", "SCRAM-SHA-256-PLUS", password,
             tls12, b"x" * 12)):
        client = connect(context(suite, version))
        reply, proved = scram(client, go_on, mech, user, secret, bind)
        client.close()
        right = secret == password and not bind
        yield name, reply.startswith(good if right else bad) and proved == right, reply
