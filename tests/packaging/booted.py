"""A copy of this machine, as throwaway.py makes it, that has really been booted: systemd is its
first process, in namespaces of every kind and a control group of its own. It ends with the test,
however that ends, and can change nothing of the real machine: neither its clock nor its kernel's
settings. Needs root, systemd, and a kernel that lets control groups (version 2) be mounted.

What cannot be had here raises SkipTest with the reason, up to the moment at which systemd has
reached its target and has run a service in a sandbox. Whatever fails later is a fault.
"""

import contextlib
import os
import select
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from namespaces import inside_network
from throwaway import FORGET, Machine

SECONDS = 60  # for systemd's start, and for anything that it is asked
SYSTEMD = "/lib/systemd/systemd"

# In a mount namespace of its own: the group in which all else happens, and the overlay.
ENTER = """
set -e
mount --make-rprivate /
cd {folder}
mount -t cgroup2 cgroup2 groups
mkdir groups{group}
echo $$ >groups{group}/cgroup.procs
umount groups
mount -t tmpfs -o size=2g tmpfs machine
mkdir machine/upper machine/work machine/root
mount -t overlay overlay -o lowerdir=/,upperdir=machine/upper,workdir=machine/work machine/root
exec unshare --mount --net --pid --uts --ipc --cgroup --fork --kill-child bash -c "$PREPARE"
"""

# As the first process of the new machine. What is the kernel's, and so everybody's, cannot be
# written. Of services there are the journal, one that shows whether sandboxes can be had, and what
# a test installs.
PREPARE = """
set -e
cd {folder}/machine/root
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
  touch dev/$device
  mount --bind /dev/$device dev/$device
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs run
mkdir run/host
mount --bind {folder} run/host
ip link set lo up
mkdir .real
pivot_root . .real
umount --lazy .real
rmdir .real
cd /
mount --make-rshared /
rm -rf /etc/fstab /etc/systemd/system/* /etc/systemd/*.conf /lib/systemd/system-generators/* \
  /lib/systemd/system/*.wants /usr/sbin/policy-rc.d /var/log/journal
mkdir /lib/systemd/system/sysinit.target.wants
ln -s ../systemd-journald.service /lib/systemd/system/sysinit.target.wants/
mkdir /etc/systemd/system/multi-user.target.wants
cat >/etc/systemd/system/multi-user.target.wants/sandbox.service <<'UNIT'
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'test -s "$CREDENTIALS_DIRECTORY/users"'
LoadCredential=users:/etc/passwd
DynamicUser=yes
StateDirectory=sandbox
ProtectSystem=strict
ProtectProc=invisible
ProtectKernelTunables=yes
PrivateDevices=yes
NoNewPrivileges=yes
RestrictNamespaces=yes
SystemCallFilter=@system-service
UNIT
{forget}
{install}
exec env -i container=other NOTIFY_SOCKET=/run/host/told PATH="$PATH" \
  setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio,-syslog,-audit_control,-audit_read \
  {systemd} --unit=multi-user.target
"""

# Afterwards: groups are directories, the innermost first.
CLEAN = """
mount -t cgroup2 cgroup2 {folder}/groups || exit 0
[ ! -d {folder}/groups{group} ] || find {folder}/groups{group} -depth -type d -exec rmdir {{}} +
"""


def own_group():
    """Where in the tree of control groups this process is."""
    with open("/proc/self/cgroup", encoding="ascii") as file:
        for line in file:
            if line.startswith("0::"):
                return line[3:].strip().rstrip("/")
    raise unittest.SkipTest("this kernel has no control groups of version 2")


class BootedMachine(Machine):
    """`installed` is a package that is there before the boot, as in the image of a machine."""

    def __init__(self, installed=None):
        self.installed = installed
        self.holder = self.inside = None

    def __enter__(self):
        if os.geteuid() != 0:
            raise unittest.SkipTest("booting a machine needs root")
        if not os.access(SYSTEMD, os.X_OK):
            raise unittest.SkipTest(f"there is no {SYSTEMD}")
        self.folder = tempfile.mkdtemp(prefix="turnpike-booted-")
        self.group = f"{own_group()}/{os.path.basename(self.folder)}"
        try:
            self.boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def boot(self):
        install = ":"
        if self.installed:
            shutil.copy(self.installed, self.folder + "/package.deb")
            install = "dpkg --install /run/host/package.deb"
        for name in ("groups", "machine"):
            os.mkdir(f"{self.folder}/{name}")
        with open(self.folder + "/log", "wb") as log, \
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
            ear.bind(self.folder + "/told")
            prepare = PREPARE.format(folder=self.folder, forget=FORGET, install=install,
                                     systemd=SYSTEMD)
            self.holder = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "bash", "-c",
                 ENTER.format(folder=self.folder, group=self.group)],
                env={**os.environ, "PREPARE": prepare}, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
            self.await_systemd(ear)
        (self.inside,) = self.children(self.holder.pid)
        result = self.run("systemctl show --property=Result --value sandbox.service").strip()
        if result != "success":
            raise unittest.SkipTest(f"systemd cannot put a service in a sandbox here: {result}")

    def await_systemd(self, ear):
        """It tells whoever started it, as a service does, when its target is reached."""
        ear.settimeout(0.1)
        end = time.monotonic() + SECONDS
        while self.holder.poll() is None and time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                if b"READY=1" in ear.recv(4096).split(b"\n"):
                    return
        with open(self.folder + "/log", encoding="utf-8", errors="replace") as log:
            said = " ".join(log.read().split())
        raise unittest.SkipTest(f"systemd cannot be booted here: {said[-300:] or 'it hangs'}")

    def __exit__(self, *_):
        if self.holder:
            first = os.pidfd_open(int(self.inside)) if self.inside else None
            self.holder.kill()  # and with it the first process, and so all others
            self.holder.wait()
            if first is not None:
                select.select([first], [], [], SECONDS)
                os.close(first)
        subprocess.run(["unshare", "--mount", "sh", "-c",
                        CLEAN.format(folder=self.folder, group=self.group)], check=False,
                       timeout=SECONDS)
        shutil.rmtree(self.folder)

    def command(self, words):
        return ["nsenter", f"--target={self.inside}", "--mount", "--net", "--pid", "--uts", "--ipc",
                "--cgroup", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", *words]

    def network(self):
        """The caller's thread is in the machine's network meanwhile; sockets stay where they were
        made."""
        return inside_network(f"/proc/{self.inside}/ns/net")
