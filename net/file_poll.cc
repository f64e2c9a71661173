#include "net/file_poll.h"

#include <uv.h>

#include <utility>

#include "base/check.h"

namespace turnpike::net {

struct FilePoll::State {
  uv_fs_poll_t handle{};
  std::function<void()> changed;
};

FilePoll::FilePoll(Loop& loop, const std::string& path, milliseconds interval,
                   std::function<void()> changed)
    : state_(new State) {
  state_->changed = std::move(changed);
  state_->handle.data = state_;
  CHECK(uv_fs_poll_init(loop.raw(), &state_->handle) == 0);
  const auto on_change = [](uv_fs_poll_t* handle, int, const uv_stat_t*, const uv_stat_t*) {
    // A copy: what it calls may destroy the poll.
    const auto call = static_cast<State*>(handle->data)->changed;
    call();
  };
  CHECK(uv_fs_poll_start(&state_->handle, on_change, path.c_str(),
                         static_cast<unsigned>(interval.count())) == 0);
}

FilePoll::~FilePoll() {
  uv_fs_poll_stop(&state_->handle);
  uv_close(reinterpret_cast<uv_handle_t*>(&state_->handle),
           [](uv_handle_t* handle) { delete static_cast<State*>(handle->data); });
}

}  // namespace turnpike::net
