#!/usr/bin/env python3
"""What dialogues cannot say: SCRAM with its proofs, and a drain that lets transactions finish."""
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from client import Client, refused, scram_tests  # noqa: E402
from suite import Suite  # noqa: E402
from tap import Tap  # noqa: E402


class Smtp(Client):
    def reply(self):
        """The last line of a reply."""
        while (line := super().reply())[3:4] == "-":
            pass
        return line


def login_tests(suite):
    def connect(tls):
        c = Smtp(suite, "submissions", tls)
        c.ask("EHLO client.test")
        return c
    return scram_tests(suite, connect, "334 ", "235 ", "535 ")


def drain_tests(suite):
    idle = Smtp(suite, "smtp")
    idle.ask("EHLO client.test")
    busy = Smtp(suite, "smtp")
    for line in ("EHLO client.test", "MAIL FROM:<>", "RCPT TO:<alice@a.test>", "DATA"):
        busy.ask(line)
    process = suite.processes["smtpd"]
    process.send_signal(signal.SIGTERM)
    reply = idle.reply()
    yield "a drain sends idle sessions home", reply.startswith("421 "), reply
    yield "nobody new is let in", refused(Smtp, suite, "smtp"), "connected"
    yield "the daemon waits for the transaction", process.poll() is None, "it has ended"
    reply = busy.ask("hello\r\n.")
    yield "which finishes", reply.startswith("250 "), reply
    reply = busy.reply()
    yield "and is sent home then", reply.startswith("421 "), reply
    busy.close()
    idle.close()
    status = process.wait(30)
    yield "the daemon ends with success", status == 0, f"status {status}"
    del suite.processes["smtpd"]


def main():
    tap = Tap()
    suite = Suite(["smtpd"])
    try:
        suite.account("alice@a.test", "secret-alice")
        for tests in (login_tests, drain_tests):
            tap.each(tests(suite))
    finally:
        tap.ends(suite)
    tap.done()


main()
