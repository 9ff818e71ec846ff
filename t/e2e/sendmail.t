#!/usr/bin/env python3
"""sendmail, as cron, PHP, mutt and mail(1) call it: to a mailbox here, fetched by POP3."""
import os
import pathlib
import poplib
import pwd
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from suite import BUILD, Suite, Supervised  # noqa: E402
from tap import Tap  # noqa: E402

ROOT = os.geteuid() == 0
USER = pwd.getpwuid(os.getuid()).pw_name
NOBODY = 64321  # a number without a name
EX_OK, EX_USAGE, EX_DATAERR, EX_NOUSER, EX_TEMPFAIL, EX_NOPERM = 0, 64, 65, 67, 75, 77


class Box:
    """The suite, and sendmail under the names and users that a test wants."""

    def __init__(self):
        # Copied to where any user may run it; under its other names as well.
        self.bin = pathlib.Path(tempfile.mkdtemp(prefix="hamlet-bin-"))
        self.bin.chmod(0o755)
        for name in ("sendmail", "hamletctl"):
            shutil.copy(BUILD / name, self.bin / name)
        for name in ("mailq", "newaliases"):
            (self.bin / name).symlink_to("sendmail")
        conf = {"smtpd": "local-domain a.test\n"}
        self.suite = (Supervised if ROOT else Suite)(["smtpd", "pop3d"], conf)
        self.suite.account("alice@a.test", "secret-alice")
        if USER != "root":  # root@ is the first account's from the start
            self.suite.ctl("alias", "add", f"{USER}@a.test", "alice@a.test")
        self.env = dict(os.environ, HAMLET_RUNDIR=str(self.suite.run), HOME=str(self.suite.dir),
                        EMAIL="alice@a.test", TZ="UTC")

    def run(self, *words, text="", program="sendmail", uid=None, env=None):
        who = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
        return subprocess.run([*who, self.bin / program, *words], input=text.encode(),
                              capture_output=True, timeout=120, check=False, env=env or self.env)

    def mail(self, wait=60):
        """What alice has got, LF line ends; it is gone then. What went by the queue comes later."""
        end = time.monotonic() + wait
        texts = self.fetch()
        while not texts and time.monotonic() < end:
            time.sleep(0.1)
            texts = self.fetch()
        return texts

    def fetch(self):
        p = poplib.POP3("127.0.0.1", self.suite.ports["pop3"], timeout=60)
        p.user("alice@a.test")
        p.pass_("secret-alice")
        texts = [b"\n".join(p.retr(i + 1)[1]).decode() + "\n" for i in range(p.stat()[0])]
        for i in range(len(texts)):
            p.dele(i + 1)
        p.quit()
        return texts

    def close(self):
        shutil.rmtree(self.bin, ignore_errors=True)
        return self.suite.close()


def ended(r, code, says=""):
    """What is not as it should be with a run."""
    good = r.returncode == code and says in r.stderr.decode()
    return [] if good else [f"status {r.returncode}, not {code} with {says!r}: "
                            f"{r.stdout.decode()}{r.stderr.decode()}"]


def one(box, *parts, without=()):
    """A single message, with these parts."""
    texts = box.mail()
    if len(texts) != 1:
        return [f"{len(texts)} messages: {texts}"]
    return [f"no {p!r} in {texts[0]}" for p in parts if p not in texts[0]] + \
           [f"{p!r} in {texts[0]}" for p in without if p in texts[0]]


def cron(box):
    text = ("From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@host> true\n"
            "Content-Type: text/plain; charset=UTF-8\n\nprogress 10%\r20%\n.\nJ\u00f6rg\n")
    r = box.run("-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root", text=text)
    return ended(r, EX_OK) + one(
        box, "From: Cron Daemon <root@a.test>\n",
        "To: root@a.test\n", "\n\nprogress 10% 20%\n.\nJ\u00f6rg\n", "Message-ID: <", "Date: ",
        f"(userid {os.getuid()} by mail.a.test)")


def php_form(box):
    text = ("To: Alice <alice@a.test>\r\nSubject: order\r\nX-PHP: 1\r\nFrom: shop@a.test\r\n"
            "Bcc: root@a.test, hidden@elsewhere.example\r\n\r\nHello\r\n")
    r = box.run("-t", "-i", text=text)
    bad = ended(r, EX_OK) + one(box, "From: shop@a.test\n", "To: Alice <alice@a.test>\n",
                                "\n\nHello\n", without=["Bcc", "hidden@"])
    if box.suite.ctl("queue", "list").count("hidden@") > 1:
        bad.append("the hidden recipient has two letters")
    return bad


def php(box):
    script = ('mail("alice@a.test", "from php", "Hello\\n.\\nend", '
              '"From: shop@a.test\\r\\nBcc: root@a.test");')
    r = subprocess.run(["php", "-d", f"sendmail_path={box.bin}/sendmail -t -i", "-r", script],
                       capture_output=True, timeout=120, check=False, env=box.env)
    return ended(r, EX_OK) + one(box, "Subject: from php\n", "\n\nHello\n.\nend",
                                 without=["Bcc"])


def mutt(box):
    path = box.suite.dir / "note.txt"
    path.write_text("an attachment\n")
    r = subprocess.run(["mutt", "-n", "-F", "/dev/null", "-e", "set copy=no",
                        "-e", f'set sendmail="{box.bin}/sendmail -oem -oi"',
                        "-e", "set use_envelope_from=no", "-e", "set dsn_notify=failure",
                        "-e", "set from=alice@a.test", "-s", "from mutt", "-a", path,
                        "-b", "root@a.test", "--", "alice@a.test"],
                       input=b"Hello from mutt\n", capture_output=True, timeout=120, check=False,
                       env=box.env)
    return ended(r, EX_OK) + one(box, "Subject: from mutt\n", "Hello from mutt\n",
                                 "an attachment", without=["Bcc"])


def s_nail(box):
    r = subprocess.run(["s-nail", "-:/", "-S", f"mta={box.bin}/sendmail", "-S", "v15-compat",
                        "-S", "sendwait", "-s", "from mail", "alice@a.test"],
                       input=b"Hello from mail\n", capture_output=True, timeout=120, check=False,
                       env=box.env)
    return ended(r, EX_OK) + one(box, "Subject: from mail\n", "\n\nHello from mail\n")


def defaults(box):
    """Neither a header nor a From: both are there."""
    r = box.run("alice@a.test", text="no header here\nsecond\n.\nnot this\n")
    bad = ended(r, EX_OK) + one(box, f"{USER}@a.test", "From: ", "\n\nno header here\nsecond\n",
                                without=["not this"])
    r = box.run("-F", "A. Name", "-f", "", "alice@a.test", text="Subject: x\n\n")
    return bad + ended(r, EX_OK) + one(box, "Return-Path: <>\n",
                                       f'From: "A. Name" <{USER}@a.test>\n')


def other_user(box):
    own = f"uid-{NOBODY}@a.test"
    bad = ended(box.run("-i", "alice@a.test", text="Subject: x\n\nhi\n", uid=NOBODY), EX_OK)
    bad += one(box, f"Return-Path: <{own}>\n", f"From: {own}\n", f"(userid {NOBODY} by",
               without=["Sender:"])
    bad += ended(box.run("-f", "alice@a.test", "alice@a.test", text="x\n", uid=NOBODY), EX_NOPERM,
                 "not your own address")
    bad += ended(box.run("alice@a.test", text="From: Boss <boss@a.test>\n\n", uid=NOBODY), EX_OK)
    bad += one(box, f"Sender: {own}\n", "From: Boss <boss@a.test>\n")
    bad += ended(box.run(program="mailq", uid=NOBODY), EX_NOPERM, "the administrator's")
    return bad


def trusted(box):
    r = box.run("-f", "lists@elsewhere.example", "alice@a.test", "b@elsewhere.example", text="x\n")
    listed = box.run(program="mailq").stdout.decode()
    bad = ended(r, EX_OK) + one(box, "From: lists@elsewhere.example\n")
    bad += ended(box.run("-q10m"), EX_OK)
    return bad if "lists@elsewhere.example" in listed else [*bad, listed]


def mistakes(box):
    bad = ended(box.run("missing@a.test", "alice@a.test", text="x\n"), EX_NOUSER,
                "missing@a.test: 5.1.1")
    bad += ended(box.run(text="x\n"), EX_USAGE, "no recipients")
    bad += ended(box.run("-t", text="Subject: x\n\n"), EX_USAGE, "no recipients")
    bad += ended(box.run("-bd"), EX_USAGE, "hamletd")
    bad += ended(box.run("a..b@a.test", text="x\n"), EX_DATAERR, "not an address")
    bad += ended(box.run("-t", text="To: a..b@a.test\n\n"), EX_DATAERR, "not an address")
    bad += ended(box.run("alice@a.test", text="x" * 70000 + "\n"), EX_DATAERR, "too long")
    bad += ended(box.run("alice@a.test", text="x\n",
                         env=dict(box.env, HAMLET_RUNDIR="/nonexistent")), EX_TEMPFAIL,
                 "try again later")
    return bad + [f"delivered: {t}" for t in box.mail(wait=0)]


def modes(box):
    r = box.run("-bv", "alice@a.test", "missing@a.test")
    bad = ended(r, EX_NOUSER)
    if b"alice@a.test ... deliverable" not in r.stdout or b"missing@a.test ... 5.1.1" not in r.stdout:
        bad.append(r.stdout)
    r = box.run(program="newaliases")
    bad += ended(r, EX_OK) + ([] if b"hamletctl alias" in r.stdout else [r.stdout])
    smtp = ("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@a.test>\r\nDATA\r\nSubject: bs\r\n\r\n..\r\n"
            ".\r\nQUIT\r\n")
    r = box.run("-bs", text=smtp)
    bad += ended(r, EX_OK) + ([] if b"\r\n221 " in r.stdout else [r.stdout])
    return bad + one(box, "Subject: bs\n", "\n\n.\n")


def large(box):
    line = "0123456789" * 7 + "\n"
    r = box.run("-v", "-N", "success,failure", "-R", "hdrs", "-V", "id 1", "alice@a.test",
                text="Subject: large\n\n" + line * 60000)
    bad = ended(r, EX_OK) + [f"no {w} in {r.stdout}" for w in
                             (b"RET=HDRS", b"ENVID=id+201", b"NOTIFY=SUCCESS,FAILURE")
                             if w not in r.stdout]
    texts = box.mail()
    if len(texts) != 1 or texts[0].count(line) != 60000:
        bad.append(f"{len(texts)} messages, or lines are missing")
    return bad


def main():
    tap = Tap(13)
    box = Box()
    tests = [("cron's form: 8 bit, a dot, bare names", cron, True, ""),
             ("PHP's form: -t, and Bcc is for nobody's eyes", php_form, ROOT, "needs root"),
             ("PHP itself", php, ROOT and shutil.which("php"), "needs root and php"),
             ("mutt", mutt, shutil.which("mutt"), "no mutt"),
             ("mail(1)", s_nail, shutil.which("s-nail"), "no s-nail"),
             ("what is missing is added", defaults, True, ""),
             ("any other user sends as themselves", other_user, ROOT, "needs root"),
             ("root sends as anybody, and mailq lists it", trusted, ROOT, "needs root"),
             ("mistakes, and their exit codes", mistakes, True, ""),
             ("-bv, newaliases, -bs", modes, True, ""),
             ("4 MB, and what is asked of notices", large, True, "")]
    for name, test, can, why in tests:
        if can:
            tap.test(name, test, box)
        else:
            tap.skip(name, why)
    tap.test("mailq is another name", lambda: ended(box.run("-bp", program="newaliases"),
                                                    EX_OK if ROOT else EX_NOPERM))
    tap.test("the daemons end cleanly", box.close)
    tap.done()


main()
