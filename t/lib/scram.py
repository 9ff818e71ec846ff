"""SCRAM-SHA-256 and -PLUS (RFC 5802, RFC 7677), the client's side, for tests."""
import base64
import hashlib
import hmac
import os


class Scram:
    def __init__(self, user, password, binding=None):
        """binding: (type, bytes) of the TLS channel for -PLUS, or None."""
        self.password = password.encode()
        self.gs2 = f"p={binding[0]},," if binding else "n,,"
        self.cbind = self.gs2.encode() + (binding[1] if binding else b"")
        self.nonce = base64.b64encode(os.urandom(18)).decode()
        self.bare = f"n={user},r={self.nonce}"
        self.server_signature = b""

    def first(self):
        return (self.gs2 + self.bare).encode()

    def final(self, challenge):
        text = challenge.decode()
        values = dict(part.split("=", 1) for part in text.split(","))
        assert values["r"].startswith(self.nonce)
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(values["s"]),
                                     int(values["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = f"c={base64.b64encode(self.cbind).decode()},r={values['r']}"
        message = f"{self.bare},{text},{without_proof}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        self.server_signature = hmac.digest(server_key, message, "sha256")
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, data):
        return data == b"v=" + base64.b64encode(self.server_signature)
