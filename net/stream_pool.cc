#include "net/stream_pool.h"

#include "base/check.h"
#include "net/socket_stream.h"

namespace turnpike::net {

struct StreamPool::Lists {
  template <typename Hook>
  using List = boost::intrusive::list<SocketStream, boost::intrusive::base_hook<Hook>,
                                      boost::intrusive::constant_time_size<false>>;
  List<FlushHook> to_flush;
  List<DeliverHook> to_deliver;
};

StreamPool::StreamPool(Loop& loop)
    : scratch_(new std::uint8_t[kScratchBytes]),
      lists_(std::make_unique<Lists>()),
      next_turn_(loop, [this] { deliver(); }) {
  chunks_.reserve(kReadyChunks);
}

StreamPool::~StreamPool() {
  CHECK(lists_->to_flush.empty() && lists_->to_deliver.empty());  // streams die before their loop
}

void StreamPool::flush_later(SocketStream& stream) {
  if (!stream.FlushHook::is_linked()) lists_->to_flush.push_back(stream);
}

void StreamPool::deliver_later(SocketStream& stream) {
  if (stream.DeliverHook::is_linked()) return;
  lists_->to_deliver.push_back(stream);
  next_turn_.ask();
}

// Receivers that write when they hear that their queue has drained wait for the next turn, so that
// a quick reader cannot keep the loop here.
void StreamPool::flush() {
  Lists::List<FlushHook> now;
  now.swap(lists_->to_flush);
  while (!now.empty()) {
    SocketStream& stream = now.front();
    now.pop_front();
    stream.flush();
  }
  if (!lists_->to_flush.empty()) next_turn_.ask();
}

void StreamPool::deliver() {
  Lists::List<DeliverHook> now;
  now.swap(lists_->to_deliver);
  while (!now.empty()) {
    SocketStream& stream = now.front();
    now.pop_front();
    stream.deliver();
  }
}

}  // namespace turnpike::net
