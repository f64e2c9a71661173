"""What bench/macro/compare measures: one cell is one kind of load, its goals, and who can bear it.

Goals are ratios of CPU time: (must, aim). docs/performance-log.md holds what was reached."""

import dataclasses

FLOORS = ("floor-recvmmsg", "floor-gso")
CPU, MEMORY = "server_cpu_us_each", "server_memory_per_allocation"


@dataclasses.dataclass(frozen=True)
class Cell:
    name: str
    title: str
    arguments: tuple
    metric: str = CPU
    to_coturn: tuple = None     # (must, aim)
    floors: bool = True         # the minimal forwarders can do it
    to_floor: tuple = (1.25, 1.05)
    own: str = None             # compared with this cell of the same server, too
    to_own: tuple = None
    absolute: tuple = None      # goals in the metric's own unit
    latency_to_floor: tuple = None
    workers: int = 1
    only_turnpike: bool = False
    dtls: bool = False          # the servers speak it
    balance: tuple = None       # busiest worker's CPU time over the mean

    def unit(self):
        return "kB" if self.metric == MEMORY else "us"

    def scale(self):
        return 1e-3 if self.metric == MEMORY else 1.0


def relay(*arguments):
    return ("relay",) + arguments


# Every set-up is a new socket; many client addresses keep their five-tuples apart.
MANY_CLIENTS = ("--client-ip", "{many_clients}", "--client-ips", "200")

CELLS = (
    Cell("160x1", "160 B, 1 allocation", relay("--allocations", "1"), to_coturn=(0.78, 0.57)),
    Cell("160x100", "160 B, 100 allocations", relay("--allocations", "100"),
         to_coturn=(0.68, 0.57)),
    Cell("160x1000", "160 B, 1000 allocations", relay("--allocations", "1000"),
         to_coturn=(0.68, 0.57)),
    Cell("1200x8x100", "1200 B in bursts of 8, 100",
         relay("--allocations", "100", "--size", "1200", "--burst", "8"), to_coturn=(0.80, 0.63)),
    Cell("trains", "1200 B in trains of 16, 10",
         relay("--allocations", "10", "--size", "1200", "--burst", "16", "--trains"),
         to_coturn=(0.30, 0.18)),
    Cell("paced", "160 B, 100, 50 000 a second",
         relay("--allocations", "100", "--pace", "50000"), to_coturn=(0.72, 0.64),
         latency_to_floor=(2.0, 1.2)),
    Cell("indications", "160 B, 100, Send and Data",
         relay("--allocations", "100", "--framing", "indication"), to_coturn=(0.75, 0.60),
         floors=False),
    Cell("tcp-160", "TCP clients, 160 B, 100", relay("--allocations", "100", "--transport", "tcp"),
         to_coturn=(0.75, 0.62)),
    Cell("tcp-1200", "TCP clients, 1200 B, 100",
         relay("--allocations", "100", "--transport", "tcp", "--size", "1200"),
         to_coturn=(0.80, 0.67)),
    Cell("tls-1200", "TLS clients, 1200 B, 100",
         relay("--allocations", "100", "--transport", "tls", "--size", "1200"),
         to_coturn=(0.85, 0.70), floors=False),
    Cell("dtls-1200", "DTLS clients, 1200 B, 100",
         relay("--allocations", "100", "--transport", "dtls", "--size", "1200"),
         to_coturn=(0.85, 0.70), floors=False, dtls=True),
    Cell("short-cut", "both ends relayed, 160 B, 100",
         relay("--allocations", "100", "--short-cut"), to_coturn=(0.60, 0.30), floors=False),
    Cell("binding", "Binding request", ("binding", "--clients", "10"), to_coturn=(0.65, 0.50),
         floors=False),
    Cell("setup", "whole set-up", ("setup",) + MANY_CLIENTS, to_coturn=(0.45, 0.30),
         floors=False),
    Cell("memory", "memory of an idle allocation", ("idle", "--allocations", "10000"),
         metric=MEMORY, floors=False, absolute=(6.0, 2.5)),
    Cell("beside-idle", "160 B, 1, beside 10 000 idle",
         relay("--allocations", "1", "--idle-beside", "10000"), floors=False, own="160x1",
         to_own=(1.05, 1.01)),
    Cell("two-workers", "160 B, 1000, two workers", relay("--allocations", "1000"), floors=False,
         workers=2, only_turnpike=True, own="160x1000", to_own=(1.10, 1.0), balance=(1.20, 1.05)),
)
BY_NAME = {cell.name: cell for cell in CELLS}
