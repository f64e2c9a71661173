// Whether systemd's journal reads what this process writes. Any thread.
#pragma once

namespace turnpike {

// systemd names the device and inode of the stream that it connects to the journal (systemd.exec).
bool is_read_by_journal(int fd);

}  // namespace turnpike
