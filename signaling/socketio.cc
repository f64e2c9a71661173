#include "signaling/socketio.h"

#include <algorithm>

#include "signaling/json_text.h"
#include "signaling/socketio_core.h"

namespace turnpike::signaling::socketio {

namespace {

constexpr std::size_t kRunBytes = 6;  // 8 characters

std::string index_key(std::string_view name_space, std::string_view id) {
  std::string key(name_space);
  key.push_back('\n');  // in no namespace and no id
  return key.append(id);
}

}  // namespace

Server::Core::Core(const Settings& settings, Wire& wire, Random& random, Server& server,
                   socketio::Application& application)
    : settings_(settings),
      random_(random),
      application_(application),
      run_(random.token(kRunBytes)),
      clients_(settings.engine.max_sessions),
      sockets_(settings.max_sockets),
      rooms_(settings.rooms),
      kept_shares_(settings.max_kept_of_source),
      away_(settings.away),
      engine_(settings.engine, wire, random, server) {}

Server::Core::~Core() = default;

Socket* Server::Core::find_live(SocketHandle handle) {
  Socket* socket = sockets_.find(handle);
  return socket == nullptr || socket->gone ? nullptr : socket;
}

SocketHandle Server::Core::find_id(std::string_view name_space, std::string_view id) const {
  const auto found = by_id_.find(index_key(name_space, id));
  return found == by_id_.end() ? SocketHandle{} : found->second;
}

SocketHandle Server::Core::socket_on(const Client& client, std::string_view name_space) const {
  for (const SocketHandle handle : client.sockets) {
    const Socket* socket = find_live(handle);
    if (socket != nullptr && socket->name_space == name_space) return handle;
  }
  return {};
}

// --- from Engine.IO ---

std::uint64_t Server::Core::on_open(Tick now, engineio::SessionHandle session,
                                    const engineio::Opening& opening) {
  const ClientHandle handle = clients_.emplace();
  Client* client = clients_.find(handle);
  if (client == nullptr) {
    engine_.close(now, session);
    return 0;
  }
  client->session = session;
  client->version = opening.version;
  client->sid = opening.sid;
  client->query = opening.visit.request.query();
  client->timer.name(kConnectTime, handle.pack());
  wheel_.arm(client->timer, now.mono + settings_.connect_timeout);
  if (opening.version == engineio::Version::k3) {
    connect(now, handle, Packet{.type = Type::kConnect});
  }
  return handle.pack();
}

void Server::Core::on_message(Tick now, std::uint64_t tag, engineio::Kind kind,
                              std::string_view payload) {
  const auto handle = ClientHandle::unpack(tag);
  Client* client = clients_.find(handle);
  if (client == nullptr || client->closing) return;
  if (kind == engineio::Kind::kText) {
    take_text(now, handle, *client, payload);
  } else {
    take_binary(now, handle, *client, payload);
  }
}

void Server::Core::on_close(Tick now, std::uint64_t tag, engineio::CloseReason reason) {
  const auto handle = ClientHandle::unpack(tag);
  Client* client = clients_.find(handle);
  if (client == nullptr) return;
  // Whoever broke the rules is not coming back as the same one. A close packet is no goodbye, that
  // would have been a DISCONNECT: clients send it when one of their polls has failed.
  const bool may_return = reason == engineio::CloseReason::kTransportClose ||
                          reason == engineio::CloseReason::kClosedByClient ||
                          reason == engineio::CloseReason::kPingTimeout ||
                          reason == engineio::CloseReason::kTooSlow;
  const bool closing = client->closing;
  client->closing = true;
  drop_unfinished(*client);
  const std::vector<SocketHandle> sockets = client->sockets;
  for (const SocketHandle socket : sockets) lose(now, socket, may_return && !closing);
  clients_.erase(handle);
}

void Server::Core::on_time(Tick now) {
  while (Timer* timer = wheel_.take_expired(now.mono)) {
    if (timer->kind() == kSocketTime) {
      const SocketHandle handle = SocketHandle::unpack(timer->subject());
      Socket* socket = find_live(handle);
      if (socket != nullptr && !socket->away) {
        forget_old(now, *socket);
      } else {
        end_socket(now, handle);
      }
      continue;
    }
    Client* client = clients_.find(ClientHandle::unpack(timer->subject()));
    if (client != nullptr && client->sockets.empty()) fail(now, *client);
  }
  engine_.on_time(now);
}

MonoTime Server::Core::next_deadline() const {
  return std::min(engine_.next_deadline(), wheel_.next());
}

void Server::Core::fail(Tick now, Client& client) {
  client.closing = true;
  drop_unfinished(client);
  engine_.close(now, client.session);
}

void Server::Core::drop_unfinished(Client& client) {
  if (client.unfinished) unfinished_total_ -= client.unfinished->bytes;
  client.unfinished.reset();
}

void Server::Core::take_text(Tick now, ClientHandle handle, Client& client, std::string_view text) {
  const auto packet = parse_packet(client.version, text);
  if (client.unfinished || !packet) return fail(now, client);
  if (packet->attachments == 0) return take_packet(now, handle, client, *packet, {});
  if (unfinished_total_ + text.size() > kMaxUnfinishedTotal) return fail(now, client);
  client.unfinished = std::make_unique<Unfinished>();
  client.unfinished->head = text;
  client.unfinished->wanted = packet->attachments;
  client.unfinished->bytes = text.size();
  unfinished_total_ += text.size();
}

void Server::Core::take_binary(Tick now, ClientHandle handle, Client& client,
                               std::string_view bytes) {
  if (!client.unfinished) return fail(now, client);
  Unfinished& unfinished = *client.unfinished;
  if (unfinished.bytes - unfinished.head.size() + bytes.size() > kMaxAttachmentBytes ||
      unfinished_total_ + bytes.size() > kMaxUnfinishedTotal) {
    return fail(now, client);
  }
  unfinished.attachments.emplace_back(bytes);
  unfinished.bytes += bytes.size();
  unfinished_total_ += bytes.size();
  if (unfinished.attachments.size() < unfinished.wanted) return;
  const std::unique_ptr<Unfinished> whole = std::move(client.unfinished);
  unfinished_total_ -= whole->bytes;
  const auto packet = parse_packet(client.version, whole->head);
  const std::vector<std::string_view> attachments(whole->attachments.begin(),
                                                  whole->attachments.end());
  if (packet) take_packet(now, handle, client, *packet, attachments);
}

void Server::Core::take_packet(Tick now, ClientHandle handle, Client& client, const Packet& packet,
                               std::span<const std::string_view> attachments) {
  const bool strict = client.version == engineio::Version::k4;
  const SocketHandle socket = socket_on(client, packet.name_space);
  const bool is_event = packet.type == Type::kEvent || packet.type == Type::kBinaryEvent;
  if (!is_event || !socket) {  // events are the application's to judge
    const auto judgement = client.pace.judge(now.mono, packet.payload.size());
    const bool makes = packet.type == Type::kConnect || packet.type == Type::kDisconnect;
    if (judgement == Pace::Judgement::kAbuse || (makes && judgement != Pace::Judgement::kPass)) {
      return fail(now, client);
    }
  }
  if (packet.type == Type::kConnect) {
    if (!socket) return connect(now, handle, packet);
    if (strict) fail(now, client);
    return;
  }
  if (!socket || packet.type == Type::kConnectError) {
    if (strict) fail(now, client);
    return;
  }
  if (packet.type == Type::kDisconnect) return end_socket(now, socket);
  deliver(now, socket, *find_live(socket), packet, attachments);
}

void Server::Core::deliver(Tick now, SocketHandle handle, const Socket& socket,
                           const Packet& packet, std::span<const std::string_view> attachments) {
  // Nobody here asks for acknowledgements, so none is awaited.
  if (packet.type != Type::kEvent && packet.type != Type::kBinaryEvent) return;
  const std::string_view first = packet.elements.front();
  std::string name;
  if (first.front() == '"') {
    auto text = json_string(first);
    if (!text) return;  // half a surrogate pair: the name of no event
    name = std::move(*text);
  } else {
    name = first;
  }
  const std::span<const std::string_view> elements(packet.elements);
  application_.on_event(now, handle, socket.tag,
                        {name, elements.subspan(1), packet.id, attachments});
}

// --- the life of sockets ---

void Server::Core::connect(Tick now, ClientHandle handle, const Packet& packet) {
  Client& client = *clients_.find(handle);
  const std::string_view name_space = packet.name_space;
  const bool has_auth = client.version == engineio::Version::k4 && !packet.payload.empty();
  Greeting greeting{.version = client.version,
                    .source = engine_.source(client.session),
                    .name_space = name_space,
                    .auth = has_auth ? packet.payload : std::string_view("{}"),
                    .query = client.query,
                    .namespace_query = packet.query,
                    .main = {}};
  if (client.version == engineio::Version::k3 && name_space != "/") {
    greeting.main = socket_on(client, "/");
    // Waits for ever, as on the servers that these clients know.
    if (!greeting.main) return;
  }
  if (client.sockets.size() >= kMaxNamespaces || name_space.size() > kMaxNamespaceName) {
    return reject(now, client, name_space, {"Invalid namespace", {}});
  }
  if (const auto refusal = application_.refuse(now, greeting)) {
    return reject(now, client, name_space, *refusal);
  }
  if (has_auth && recover(now, handle, greeting)) return;
  // What was recovered in vain may have taken the client along.
  Client* still = clients_.find(handle);
  if (still == nullptr || still->closing) return;
  const SocketHandle made = make_socket(handle, *still, name_space);
  if (!made) return reject(now, *still, name_space, {"the server is full", {}});
  still->sockets.push_back(made);
  still->timer.disarm();
  welcome(now, *still, *find_live(made));
  Socket& socket = *find_live(made);
  socket.arriving = true;
  socket.tag = application_.on_connect(now, made, greeting);
  socket.arriving = false;
  if (socket.leaves_at_once) end_socket(now, made);
}

SocketHandle Server::Core::make_socket(ClientHandle handle, const Client& client,
                                       std::string_view name_space) {
  const SocketHandle made = sockets_.emplace();
  Socket* socket = sockets_.find(made);
  if (socket == nullptr) return {};
  socket->client = handle;
  socket->source = SourceMark(engine_.source(client.session));
  socket->version = client.version;
  socket->name_space = name_space;
  if (client.version == engineio::Version::k4) {
    socket->id = random_.token(Socket::kIdBytes);
    if (recovers()) {
      socket->pid = random_.token(Socket::kPidBytes);
      by_pid_.emplace(socket->pid, made);
    }
  } else {
    // What these clients take their id for; nothing on the wire tells them.
    if (name_space != "/") socket->id.append(name_space).push_back('#');
    socket->id.append(client.sid);
  }
  by_id_.emplace(index_key(name_space, socket->id), made);
  socket->timer.name(kSocketTime, made.pack());
  return made;
}

void Server::Core::welcome(Tick now, Client& client, const Socket& socket) {
  std::string text;
  append_head(text, Type::kConnect, 0, socket.name_space);
  if (client.version == engineio::Version::k4) {
    text.append("{\"sid\":");
    append_json_string(text, socket.id);
    if (!socket.pid.empty()) {
      text.append(",\"pid\":");
      append_json_string(text, socket.pid);
    }
    text.push_back('}');
  } else if (text.back() == ',') {
    text.pop_back();
  }
  engine_.send(now, client.session, engineio::Kind::kText, text);
}

void Server::Core::reject(Tick now, const Client& client, std::string_view name_space,
                          const Refusal& refusal) {
  std::string text;
  append_head(text, Type::kConnectError, 0, name_space);
  if (client.version == engineio::Version::k3) {
    append_json_string(text, refusal.message);
  } else {
    text.append("{\"message\":");
    append_json_string(text, refusal.message);
    if (!refusal.data.empty()) text.append(",\"data\":").append(refusal.data);
    text.push_back('}');
  }
  engine_.send(now, client.session, engineio::Kind::kText, text);
}

void Server::Core::detach(Socket& socket, SocketHandle handle) {
  if (Client* client = clients_.find(socket.client)) std::erase(client->sockets, handle);
  socket.client = {};
}

void Server::Core::end_socket(Tick now, SocketHandle handle) {
  Socket* socket = find_live(handle);
  if (socket == nullptr) return;
  if (socket->arriving) {
    socket->leaves_at_once = true;
    return;
  }
  socket->gone = true;
  socket->timer.disarm();
  if (socket->away) no_longer_away(*socket, handle);
  detach(*socket, handle);
  by_id_.erase(index_key(socket->name_space, socket->id));
  by_pid_.erase(socket->pid);
  if (socket->history) {
    kept_total_ -= socket->history->bytes;
    kept_shares_.give_back(socket->source, socket->history->bytes);
  }
  socket->history.reset();
  application_.on_disconnect(now, handle, socket->tag);
  for (const std::string& room : socket->rooms) rooms_.leave(room, handle);
  sockets_.erase(handle);
}

void Server::Core::lose(Tick now, SocketHandle handle, bool may_return) {
  Socket* socket = find_live(handle);
  if (socket == nullptr) return;
  if (!may_return || socket->pid.empty() || !application_.keeps(now, handle, socket->tag)) {
    return end_socket(now, handle);
  }
  if (const auto first = away_.first_to_yield(socket->source)) {
    end_socket(now, SocketHandle::unpack(*first));
    socket = find_live(handle);
    if (socket == nullptr) return;
  }
  const MonoTime until = now.mono + settings_.recovery_window;
  if (!away_.add({socket->source, until, handle.pack()})) return end_socket(now, handle);
  detach(*socket, handle);
  socket->away = true;
  socket->lost_at = broadcasts_;
  wheel_.arm(socket->timer, until);
}

void Server::Core::no_longer_away(const Socket& socket, SocketHandle handle) {
  away_.remove({socket.source, socket.timer.deadline(), handle.pack()});
}

void Server::Core::disconnect(Tick now, SocketHandle handle) {
  const Socket* socket = find_live(handle);
  if (socket == nullptr) return;
  if (const Client* client = clients_.find(socket->client)) {
    std::string text;
    append_head(text, Type::kDisconnect, 0, socket->name_space);
    engine_.send(now, client->session, engineio::Kind::kText, text);
  }
  end_socket(now, handle);
}

void Server::Core::close(Tick now, SocketHandle handle) {
  const Socket* socket = find_live(handle);
  if (socket == nullptr) return;
  if (Client* client = clients_.find(socket->client)) fail(now, *client);
}

// --- the server's face ---

Server::Server(Settings settings, Wire& wire, Random& random, socketio::Application& application)
    : core_(std::make_unique<Core>(settings, wire, random, *this, application)) {}
Server::~Server() = default;

void Server::on_request(Tick now, ConnectionHandle connection, const Visit& visit) {
  core_->engine().on_request(now, connection, visit);
}
std::size_t Server::session_count() const { return core_->engine().session_count(); }
std::size_t Server::socket_count() const { return core_->socket_count(); }
std::size_t Server::max_message() const { return core_->engine().max_message(); }
void Server::drain() { core_->engine().drain(); }
std::size_t Server::polling_count() const { return core_->engine().polling_count(); }
bool Server::belongs_to_kept(const Visit& visit) const {
  return core_->engine().belongs_to_kept(visit);
}
std::optional<http::Response> Server::refuse(Tick now, const Visit& visit) {
  return core_->engine().refuse(now, visit);
}
Endpoint::Tag Server::on_open(Tick now, ConnectionHandle connection, const Visit& visit) {
  return core_->engine().on_open(now, connection, visit);
}
void Server::on_message(Tick now, ConnectionHandle connection, Tag tag, ws::Opcode opcode,
                        std::string_view payload) {
  core_->engine().on_message(now, connection, tag, opcode, payload);
}
void Server::on_gone(Tick now, ConnectionHandle connection, Tag tag) {
  core_->engine().on_gone(now, connection, tag);
}
void Server::on_time(Tick now) { core_->on_time(now); }
MonoTime Server::next_deadline() const { return core_->next_deadline(); }

void Server::emit(Tick now, SocketHandle socket, const Outgoing& event) {
  core_->emit(now, socket, event);
}
void Server::emit_all(Tick now, std::span<const SocketHandle> sockets, const Outgoing& event,
                      SocketHandle except) {
  core_->emit_all(now, sockets, event, except);
}
void Server::ack(Tick now, SocketHandle socket, std::uint64_t id,
                 std::span<const std::string_view> args,
                 std::span<const std::string_view> attachments) {
  core_->ack(now, socket, id, args, attachments);
}
void Server::disconnect(Tick now, SocketHandle socket) { core_->disconnect(now, socket); }
void Server::close(Tick now, SocketHandle socket) { core_->close(now, socket); }

JoinOutcome Server::join(SocketHandle socket, std::string_view room) {
  return core_->join(socket, room);
}
bool Server::leave(SocketHandle socket, std::string_view room) {
  return core_->leave(socket, room);
}
std::span<const std::string> Server::rooms_of(SocketHandle socket) const {
  const Socket* found = core_->find_any(socket);
  if (found == nullptr) return {};
  return found->rooms;
}
bool Server::contains(std::string_view room, SocketHandle socket) const {
  return core_->rooms().contains(room, socket);
}
std::span<const SocketHandle> Server::members(std::string_view room) const {
  return core_->rooms().members(room);
}
std::string_view Server::id(SocketHandle socket) const {
  const Socket* found = core_->find_any(socket);
  return found == nullptr ? std::string_view() : std::string_view(found->id);
}
std::string_view Server::name_space(SocketHandle socket) const {
  const Socket* found = core_->find_any(socket);
  return found == nullptr ? std::string_view() : std::string_view(found->name_space);
}
bool Server::is_away(SocketHandle socket) const {
  const Socket* found = core_->find_live(socket);
  return found != nullptr && found->away;
}
std::optional<std::uint64_t> Server::tag(SocketHandle socket) const {
  const Socket* found = core_->find_live(socket);
  if (found == nullptr) return std::nullopt;
  return found->tag;
}
SocketHandle Server::find(std::string_view name_space, std::string_view id) const {
  return core_->find_id(name_space, id);
}

std::uint64_t Server::on_open(Tick now, engineio::SessionHandle session,
                              const engineio::Opening& opening) {
  return core_->on_open(now, session, opening);
}
void Server::on_message(Tick now, engineio::SessionHandle, std::uint64_t tag, engineio::Kind kind,
                        std::string_view payload) {
  core_->on_message(now, tag, kind, payload);
}
void Server::on_close(Tick now, engineio::SessionHandle, std::uint64_t tag,
                      engineio::CloseReason reason) {
  core_->on_close(now, tag, reason);
}

}  // namespace turnpike::signaling::socketio
