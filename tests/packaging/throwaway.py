"""A copy of this machine to install packages in, which leaves no trace: an overlay over its root,
in a mount and a network namespace of its own. Needs root. Turnpike was never there, whatever the
real machine has of it.
"""

import os
import shutil
import subprocess
import tempfile
import unittest

# Says what systemd would be asked to do, and says yes. It runs where nobody else manages services.
SYSTEMCTL = """#!/bin/sh
echo "$*" >>/systemctl.log
case "$*" in
  --root=*) exec /usr/bin/real-systemctl "$@" ;;
  *is-enabled*) /usr/bin/real-systemctl --root=/ is-enabled turnpike.service ;;
  *is-active*) [ -e /turnpike-is-active ] ;;
  *" start "* | *" restart "*) touch /turnpike-is-active ;;
  "stop "* | *" stop "*) rm -f /turnpike-is-active ;;
esac
"""

PREPARE = """
set -e
mount --make-rprivate /
mount -t tmpfs -o size=2g tmpfs {folder}
mkdir {folder}/upper {folder}/work {folder}/root
mount -t overlay overlay -o lowerdir=/,upperdir={folder}/upper,workdir={folder}/work {folder}/root
mount --rbind /dev {folder}/root/dev
mount -t proc proc {folder}/root/proc
mount -t tmpfs tmpfs {folder}/root/tmp
mount -t tmpfs tmpfs {folder}/root/run
mkdir -p {folder}/root/run/systemd/system
ip link set lo up
echo ready
exec cat
"""


# What tools/up or a package has put on the real machine.
FORGET = """
userdel turnpike 2>/dev/null || :
dpkg --purge turnpike >/dev/null 2>&1 || :
rm -rf /etc/turnpike /var/lib/turnpike /var/lib/private/turnpike /var/log/turnpike
"""


class Machine:
    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="turnpike-machine-")
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--fork", "--kill-child", "bash", "-c",
             PREPARE.format(folder=self.folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != "ready\n":
            self.__exit__()
            raise unittest.SkipTest("no overlay can be mounted here, which needs root")
        (self.inside,) = self.children(self.holder.pid)
        self.run("mv /usr/bin/systemctl /usr/bin/real-systemctl; rm -f /usr/sbin/policy-rc.d;"
                 "cat >/usr/bin/systemctl; chmod 755 /usr/bin/systemctl", given=SYSTEMCTL)
        self.run(FORGET)
        return self

    @staticmethod
    def children(pid):
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return file.read().split()

    def __exit__(self, *_):
        self.holder.stdin.close()  # the namespaces end with their last process, and so the mounts
        self.holder.wait()
        self.holder.stdout.close()
        shutil.rmtree(self.folder)

    def command(self, words):
        return ["nsenter", f"--target={self.inside}", "--mount", "--net", "chroot",
                self.folder + "/root", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", *words]

    def run(self, script, given="", good=True):
        """What a shell script prints there; fails unless it ends well."""
        done = subprocess.run(self.command(["sh", "-ec", script]), input=given, text=True,
                              capture_output=True, timeout=600, check=False)
        if good and done.returncode != 0:
            raise AssertionError(f"{script}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def copy(self, path):
        """A file of the real machine; answers where it is there."""
        with open(path, "rb") as file:
            subprocess.run(self.command(["sh", "-c", f"cat >/{os.path.basename(path)}"]),
                           stdin=file, check=True, timeout=60)
        return "/" + os.path.basename(path)

    def start(self, *words):
        return subprocess.Popen(self.command(words), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def asked_of_systemd(self):
        """The actions since the last time that somebody asked."""
        lines = self.run("cat /systemctl.log; : >/systemctl.log").splitlines()
        return [line for line in lines if "is-" not in line]
