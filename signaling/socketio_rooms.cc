// Rooms, and sessions that come back: what a socket is kept for and what it is kept with.
#include <algorithm>

#include "base/text.h"
#include "signaling/json_text.h"
#include "signaling/socketio_core.h"

namespace turnpike::signaling::socketio {

JoinOutcome Server::Core::join(SocketHandle handle, std::string_view room) {
  Socket* socket = find_live(handle);
  if (socket == nullptr || room.size() > kMaxRoomName) return JoinOutcome::kTooMany;
  if (rooms_.contains(room, handle)) return JoinOutcome::kAlreadyIn;
  if (socket->rooms.size() >= kMaxRoomsPerSocket) return JoinOutcome::kTooMany;
  const JoinOutcome outcome = rooms_.join(room, handle, socket->source);
  if (outcome == JoinOutcome::kJoined) socket->rooms.emplace_back(room);
  return outcome;
}

bool Server::Core::leave(SocketHandle handle, std::string_view room) {
  Socket* socket = find_live(handle);
  if (socket == nullptr || !rooms_.leave(room, handle)) return false;
  std::erase(socket->rooms, room);
  return true;
}

std::string Server::Core::offset_text(std::uint64_t number) const {
  return "o-" + run_ + "-" + std::to_string(number);
}

void Server::Core::forget_first(const Socket& socket, History& history) {
  const std::size_t size = history.entries.front().broadcast->size + History::kCost;
  history.forgotten = history.entries.front().number;
  history.entries.pop_front();
  history.bytes -= size;
  kept_total_ -= size;
  kept_shares_.give_back(socket.source, size);
}

bool Server::Core::may_keep(const Socket& socket, const History& history, std::size_t size) const {
  return history.bytes + size <= kMaxKeptBytes && kept_total_ + size <= kMaxKeptTotal &&
         kept_shares_.has(socket.source, size);
}

void Server::Core::keep(Tick now, Socket& socket,
                        const std::shared_ptr<const Broadcast>& broadcast) {
  if (!socket.history) socket.history = std::make_unique<History>();
  History& history = *socket.history;
  const std::size_t size = broadcast->size + History::kCost;
  // A reader that knows offsets up to here can still be told what follows.
  while (!history.entries.empty() &&
         (history.entries.size() >= kMaxKept || !may_keep(socket, history, size))) {
    forget_first(socket, history);
  }
  if (!may_keep(socket, history, size)) {
    history.forgotten = broadcasts_;
    return;
  }
  // It may be lost in a connection that is noticed to be dead when its ping stays unanswered; from
  // then on the client has the recovery window to come back in.
  const Duration life =
      settings_.engine.ping_interval + settings_.engine.ping_timeout + settings_.recovery_window;
  history.entries.push_back({broadcasts_, broadcast, now.mono + life});
  history.bytes += size;
  kept_total_ += size;
  kept_shares_.take(socket.source, size);
  if (!socket.timer.armed()) wheel_.arm(socket.timer, history.entries.front().until);
}

void Server::Core::forget_old(Tick now, Socket& socket) {
  if (!socket.history) return;
  History& history = *socket.history;
  while (!history.entries.empty() && history.entries.front().until <= now.mono) {
    forget_first(socket, history);
  }
  if (!history.entries.empty()) wheel_.arm(socket.timer, history.entries.front().until);
}

std::optional<std::uint64_t> Server::Core::last_seen(
    const Socket& socket, const std::optional<std::string>& offset) const {
  const std::uint64_t forgotten = socket.history ? socket.history->forgotten : 0;
  std::uint64_t seen = 0;
  if (offset) {
    const std::string prefix = "o-" + run_ + "-";
    std::optional<std::uint64_t> number;
    if (offset->starts_with(prefix)) number = parse_decimal(offset->substr(prefix.size()));
    // The client takes the last text of any event for its offset. Then all that is known is that it
    // cannot have seen what came after its connection was lost.
    seen = number && *number <= broadcasts_ ? *number : socket.lost_at;
  }
  if (seen < forgotten) return std::nullopt;
  return seen;
}

bool Server::Core::recover(Tick now, ClientHandle handle, const Greeting& greeting) {
  const auto object = JsonObject::parse(greeting.auth);
  if (!recovers() || !object) return false;
  const auto text_of = [&object](std::string_view name) {
    const auto value = object->find(name);
    return value ? json_string(*value) : std::nullopt;
  };
  const auto pid = text_of("pid");
  const auto found = pid ? by_pid_.find(*pid) : by_pid_.end();
  if (found == by_pid_.end()) return false;
  const SocketHandle old = found->second;
  Socket* socket = find_live(old);
  if (socket == nullptr || socket->name_space != greeting.name_space) return false;
  if (!socket->away) {
    // The client has noticed before we did. Its old session is not worth waiting for.
    socket->lost_at = broadcasts_;
    const ClientHandle before = socket->client;
    lose(now, old, true);
    Client* previous = clients_.find(before);
    if (previous != nullptr && previous->sockets.empty()) fail(now, *previous);
    socket = find_live(old);
    if (socket == nullptr) return false;
  }
  Client* client = clients_.find(handle);
  const auto seen = last_seen(*socket, text_of("offset"));
  if (!seen || client == nullptr || client->closing ||
      !application_.may_return(now, old, socket->tag, greeting)) {
    end_socket(now, old);
    return false;
  }
  no_longer_away(*socket, old);
  socket->client = handle;
  socket->away = false;
  socket->timer.disarm();
  forget_old(now, *socket);
  client->sockets.push_back(old);
  client->timer.disarm();
  welcome(now, *client, *socket);
  if (!socket->history) return true;
  for (const History::Entry& entry : socket->history->entries) {
    if (entry.number <= *seen) continue;
    const Broadcast& missed = *entry.broadcast;
    const std::vector<std::string_view> attachments(missed.attachments.begin(),
                                                    missed.attachments.end());
    send_packet(now, {&client->session, 1}, missed.head, attachments);
  }
  return true;
}

}  // namespace turnpike::signaling::socketio
