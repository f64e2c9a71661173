"""What tests of a server that is reloaded, drained or watched by systemd have in common."""

import os
import shutil
import socket
import tempfile
import time

from turnclient import Refused

SECONDS = 30


class Operated:
    """For a TestCase with a `server` and with `client()`, which makes a TurnClient of it."""

    def systemd(self):
        """(socket, path): what a server with NOTIFY_SOCKET=path says is heard at the socket."""
        folder = tempfile.mkdtemp(prefix="turnpike-notify-")
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "notify")
        heard = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        heard.bind(path)
        # As systemd's own, it is anybody's to write to: the server may have given root up.
        os.chmod(folder, 0o755)
        os.chmod(path, 0o777)
        heard.settimeout(SECONDS)
        return heard, path

    def comes_to_be(self, question, wanted):
        """Workers hear of things by mail."""
        end = time.monotonic() + SECONDS
        while (answer := question()) != wanted:
            self.assertLess(time.monotonic(), end, f"still {answer}: {self.server.log()}")
            time.sleep(0.02)

    def refuses(self):
        """Whether every worker of a server that drains refuses: one socket after the other is
        tried, and each has one."""
        for _ in range(8):
            client = self.client()
            try:
                client.allocate()
                client.refresh(0)
                return False
            except Refused as refusal:
                self.assertEqual(refusal.code, 508)
        return True
