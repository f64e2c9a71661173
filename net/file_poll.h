// FilePoll: tells when a file has become another one, by whatever way: written, renamed over, or
// behind a symbolic link that points elsewhere now. The loop's thread only; the looking itself is
// done by libuv's threads, so that a slow file system stops nobody.
#pragma once

#include <functional>
#include <string>

#include "base/time.h"
#include "net/loop.h"

namespace turnpike::net {

class FilePoll {
 public:
  // A file that is not there is one too: `changed` is called when it goes and when it comes.
  FilePoll(Loop& loop, const std::string& path, milliseconds interval,
           std::function<void()> changed);
  ~FilePoll();
  FilePoll(const FilePoll&) = delete;
  FilePoll& operator=(const FilePoll&) = delete;

 private:
  struct State;
  State* state_;
};

}  // namespace turnpike::net
