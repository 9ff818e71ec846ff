#!/usr/bin/env python3
"""Who may speak for a role: the sockets of stored and keyd take only the role's own user (and root),
even when the mode of their files would let others in, and although the jail hides those files from
the servers."""
import os
import pathlib
import shutil
import socket
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from suite import FIRST_UID, Supervised  # noqa: E402
from tap import Tap  # noqa: E402

STRANGER = 64999


class Hidden(Supervised):
    """Its sockets are not in the folder of the configuration, which the jails show."""

    def start_all(self):
        self.run = pathlib.Path(tempfile.mkdtemp(prefix="hamlet-test-run-"))
        super().start_all()

    def close(self):
        problems = super().close()
        shutil.rmtree(self.run, ignore_errors=True)
        return problems


def connect_as(path, uid, patience):
    """Whether the server ends it at once. For a hello it waits longer than we do."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(patience)
        os.seteuid(uid)
        try:
            s.connect(str(path))
        finally:
            os.seteuid(0)
        try:
            return "spoken to" if s.recv(1) else "refused"
        except ConnectionResetError:
            return "refused"
        except TimeoutError:
            return "let in"


def test_socket(suite, path, uid):
    path.chmod(0o666)
    problems = []
    for who, patience, want in ((STRANGER, 30, "refused"), (uid, 2, "let in"), (0, 2, "let in")):
        got = connect_as(path, who, patience)
        if got != want:
            problems.append(f"{path.name}: user {who} was {got}\n{suite.log('hamlet')}")
    return problems


def main():
    if os.geteuid() != 0:
        print("1..0 # SKIP without root all daemons have the same user")
        return
    tap = Tap(4)
    suite = Hidden(["smtpd", "pop3d"])
    try:
        uid = {name: FIRST_UID + i for i, name in enumerate(suite.daemons)}
        tap.test("stored's socket of smtpd", test_socket, suite,
                 suite.run / "store" / "smtpd.sock", uid["smtpd"])
        tap.test("keyd's socket of pop3d", test_socket, suite,
                 suite.run / "key" / "pop3d.sock", uid["pop3d"])
        suite.ctl("daemon", "restart", "stored")
        tap.test("the same after a replacement", test_socket, suite,
                 suite.run / "store" / "smtpd.sock", uid["smtpd"])
    finally:
        tap.ends(suite)
    tap.done()


main()
