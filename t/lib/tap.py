"""TAP for the end-to-end tests written in Python."""
import sys
import traceback


class Tap:
    def __init__(self, plan=None):
        """plan None: as many as there were, told at the end."""
        self.n = self.bad = 0
        self.planned = plan is not None
        if self.planned:
            print(f"1..{plan}", flush=True)

    def ok(self, good, name, detail=""):
        self.n += 1
        print(f"{'ok' if good else 'not ok'} {self.n} - {name}", flush=True)
        if not good:
            self.bad += 1
            for line in [name, *str(detail).splitlines()[:60]]:  # where prove passes it on
                print(f"# {line}", file=sys.stderr, flush=True)
        return good

    def skip(self, name, why):
        self.n += 1
        print(f"ok {self.n} - {name} # SKIP {why}", flush=True)

    def test(self, name, fn, *args):
        """fn returns nothing, or a list of problems. Whether there were none."""
        try:
            problems = fn(*args)
        except Exception:  # a test's own failure is a failed test
            problems = [traceback.format_exc()]
        return self.ok(not problems, name, "\n".join(map(str, problems or [])))

    def each(self, tests):
        """A generator of (name, good, what to say if not)."""
        for name, good, why in tests:
            self.ok(good, name, why)

    def ends(self, suite):
        """The suite is closed, and nothing is wrong with how its daemons ended."""
        problems = suite.close()
        self.ok(not problems, "the daemons end cleanly", "\n".join(problems))

    def note(self, text):
        for line in str(text).splitlines():
            print(f"# {line}", flush=True)

    def done(self):
        if not self.planned:
            print(f"1..{self.n}", flush=True)
        sys.exit(1 if self.bad else 0)
