// What leaves for clients: events, acknowledgements, and the copies that are kept.
#include <boost/container/small_vector.hpp>

#include "signaling/socketio_core.h"

namespace turnpike::signaling::socketio {

namespace {

constexpr std::size_t kUsualRoom = 16;
using Sessions = boost::container::small_vector<engineio::SessionHandle, kUsualRoom>;

// `offset` may be empty.
std::string event_head(std::string_view name_space, const Outgoing& event,
                       std::string_view offset) {
  const std::size_t attachments = event.attachments.size();
  std::string head;
  append_head(head, attachments == 0 ? Type::kEvent : Type::kBinaryEvent, attachments, name_space);
  append_event(head, event.name, event.args, offset);
  return head;
}

}  // namespace

// Nothing else can come between a packet and its attachments: the engine keeps the order, and calls
// nobody back in between.
void Server::Core::send_packet(Tick now, std::span<const engineio::SessionHandle> sessions,
                               std::string_view head,
                               std::span<const std::string_view> attachments) {
  engine_.send_all(now, sessions, engineio::Kind::kText, head);
  for (const std::string_view attachment : attachments) {
    engine_.send_all(now, sessions, engineio::Kind::kBinary, attachment);
  }
}

void Server::Core::emit(Tick now, SocketHandle handle, const Outgoing& event) {
  const Socket* socket = find_live(handle);
  const Client* client = socket == nullptr ? nullptr : clients_.find(socket->client);
  if (client == nullptr) return;
  send_packet(now, {&client->session, 1}, event_head(socket->name_space, event, {}),
              event.attachments);
}

void Server::Core::emit_all(Tick now, std::span<const SocketHandle> sockets, const Outgoing& event,
                            SocketHandle except) {
  Sessions old_clients;
  Sessions new_clients;
  std::string name_space;
  std::shared_ptr<Broadcast> broadcast;  // for protocol 5; made when first met
  for (const SocketHandle handle : sockets) {
    Socket* socket = handle == except ? nullptr : find_live(handle);
    if (socket == nullptr) continue;
    if (name_space.empty()) name_space = socket->name_space;
    if (socket->name_space != name_space) continue;
    const Client* client = clients_.find(socket->client);
    if (socket->version == engineio::Version::k3) {
      if (client != nullptr) old_clients.push_back(client->session);
      continue;
    }
    if (!broadcast) {
      broadcast = std::make_shared<Broadcast>();
      if (recovers()) ++broadcasts_;
      broadcast->head =
          event_head(name_space, event, recovers() ? offset_text(broadcasts_) : std::string());
      broadcast->size = broadcast->head.size();
      for (const std::string_view attachment : event.attachments) {
        if (recovers()) broadcast->attachments.emplace_back(attachment);
        broadcast->size += attachment.size();
      }
    }
    if (recovers()) keep(now, *socket, broadcast);
    if (client != nullptr) new_clients.push_back(client->session);
  }
  if (!old_clients.empty()) {
    send_packet(now, old_clients, event_head(name_space, event, {}), event.attachments);
  }
  if (!new_clients.empty()) send_packet(now, new_clients, broadcast->head, event.attachments);
}

void Server::Core::ack(Tick now, SocketHandle handle, std::uint64_t id,
                       std::span<const std::string_view> args,
                       std::span<const std::string_view> attachments) {
  const Socket* socket = find_live(handle);
  const Client* client = socket == nullptr ? nullptr : clients_.find(socket->client);
  if (client == nullptr) return;
  std::string head;
  append_head(head, attachments.empty() ? Type::kAck : Type::kBinaryAck, attachments.size(),
              socket->name_space, id);
  append_array(head, args);
  send_packet(now, {&client->session, 1}, head, attachments);
}

}  // namespace turnpike::signaling::socketio
