"""Free ports of 127.0.0.1 for tests that run side by side."""
import random
import socket

# Below the range that the kernel gives to outgoing connections: none of those takes a port
# between its choice and the daemon's bind.
FIRST, LAST = 10240, 32000
held = []


def bindable(kind, port) -> bool:
    with socket.socket(socket.AF_INET, kind) as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that is free for TCP and UDP, and that no other test is given until this one ends."""
    for _ in range(1000):
        port = random.randrange(FIRST, LAST)
        mark = socket.socket(socket.AF_UNIX)  # an abstract name: gone with the process
        try:
            mark.bind(f"\0hamlet-test-port-{port}")
        except OSError:
            mark.close()
            continue
        if bindable(socket.SOCK_STREAM, port) and bindable(socket.SOCK_DGRAM, port):
            held.append(mark)
            return port
        mark.close()
    raise RuntimeError("no free port found")
