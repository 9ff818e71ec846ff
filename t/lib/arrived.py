"""What tests expect of mail that has arrived, and of notices. Functions return problems."""
import email
import email.policy
import poplib
import re


def mailbox(suite, user, password):
    """All messages of the user, as bytes; they are deleted."""
    c = poplib.POP3("127.0.0.1", suite.ports["pop3"], timeout=30)
    c.user(user)
    c.pass_(password)
    found = [b"\r\n".join(c.retr(i + 1)[1]) + b"\r\n" for i in range(c.stat()[0])]
    for i in range(len(found)):
        c.dele(i + 1)
    c.quit()
    return found


def differ(sent, got):
    """What arrived is what was sent, below the fields of the way, in any order. A client may end
    the text with an empty line."""
    problems = [] if len(got) == len(sent) else [f"{len(got)} messages, not {len(sent)}"]
    for text in sent:
        if not any(mail.endswith((text, text + b"\r\n")) for mail in got):
            problems.append(f"missing: {text[:200]!r} ... {text[-20:]!r}")
            problems += [f"got {mail[:600]!r} ... {mail[-20:]!r}" for mail in got[:2]]
    return problems


def came_by(mail, by, how):
    """The topmost Received field says so."""
    field = email.message_from_bytes(mail)["Received"] or ""
    good = re.search(rf"by {re.escape(by)} with {how}\b", field)
    return [] if good else [f"not by {by} with {how}: {field}"]


class Notice:
    """A report (RFC 3464) as Python's email reads it."""

    def __init__(self, mail, reporter):
        self.reporter = reporter
        self.message = email.message_from_bytes(mail, policy=email.policy.default)
        self.parts = list(self.message.iter_parts())
        blocks = self.parts[1].get_payload()
        self.about, self.recipients = blocks[0], blocks[1:]

    def wrong(self, action, recipient, status):
        """Problems: everything that a reader of notices relies on."""
        m = self.message
        returned = self.parts[2].get_content_type()
        got = {
            "type": (m.get_content_type(), m.get_param("report-type")),
            "parts": (len(self.parts), self.parts[0].get_content_type(),
                      self.parts[1].get_content_type()),
            "null sender": m["Return-Path"], "says what it is": bool(m["Auto-Submitted"]),
            "returns the message": returned in ("message/rfc822", "text/rfc822-headers"),
            "reporter": self.about["Reporting-MTA"].replace(" ", ""),
            "recipients": [(r["Action"], r["Final-Recipient"].replace(" ", ""),
                            bool(re.fullmatch(status, r["Status"]))) for r in self.recipients],
        }
        want = {
            "type": ("multipart/report", "delivery-status"),
            "parts": (3, "text/plain", "message/delivery-status"),
            "null sender": "<>", "says what it is": True, "returns the message": True,
            "reporter": f"dns;{self.reporter}",
            "recipients": [(action, f"rfc822;{recipient}", True)],
        }
        return [f"{k}: {got[k]!r}, not {want[k]!r}" for k in want if got[k] != want[k]] + (
            [] if got == want else [m.as_string()[:3000]])


def notices(company, name, n):
    """Waits for n notices; final recipient -> Notice."""
    found = {}
    for mail in company.arrives(name, n):
        notice = Notice(mail, f"mail.{company.domain}")
        found[notice.recipients[0]["Final-Recipient"].split(";")[1].strip()] = notice
    return found
