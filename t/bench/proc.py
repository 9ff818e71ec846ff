"""What a process tree has used: CPU, memory. Reaped children are in their parent's figures."""
import os
import pathlib

TICK = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """The process and all its living descendants."""
    parent = {}
    for p in pathlib.Path("/proc").iterdir():
        if not p.name.isdigit():
            continue
        try:
            stat = (p / "stat").read_text()
        except OSError:
            continue
        parent[int(p.name)] = int(stat.rpartition(")")[2].split()[1])
    found = [pid]
    for p in found:
        found += [c for c, up in parent.items() if up == p]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the whole tree, ended children included."""
    total = 0
    for p in tree(pid):
        try:
            f = pathlib.Path(f"/proc/{p}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(int(f[i]) for i in (11, 12, 13, 14))
    return total / TICK


def pss_bytes(pid: int) -> int:
    """Proportional set size of the whole tree."""
    total = 0
    for p in tree(pid):
        try:
            for line in pathlib.Path(f"/proc/{p}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        except OSError:
            continue
    return total
