#include "server/dtls_door.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/hash.h"

namespace turnpike::server {

using State = dtls::Association::State;

DtlsDoor::DtlsDoor(ssl_ctx_st* context, Random& random, Owner& owner, const Limits& limits)
    : owner_(owner),
      limits_(limits),
      listener_(context, random),
      throttle_(limits.hellos_per_second, 2 * limits.hellos_per_second),
      sessions_(limits.sessions),
      crowds_(kPrefixCells) {
  CHECK(limits.handshakes > 0 && limits.idle > 0);
  by_address_.reserve(limits.sessions);
}

DtlsDoor::~DtlsDoor() { close_all(); }

namespace {

// What the kernel brings of a session's five-tuple comes with this path.
turn::Path listener_path(const turn::Path& session) {
  turn::Path path = session;
  path.transport = turn::Transport::kUdp;
  path.stream = 0;
  return path;
}

}  // namespace

DtlsDoor::Session* DtlsDoor::find(const turn::Path& path) {
  const auto found = by_address_.find(Key{path.listener, path.remote});
  return found == by_address_.end() ? nullptr : sessions_.find(found->second);
}

void DtlsDoor::on_datagrams(Tick now, const turn::Path& path, const Run& run) {
  now_ = now;
  for (std::uint32_t i = 0; i < run.count; ++i) {
    const ByteView datagram = run.segment(i);
    if (!dtls::is_record(datagram)) continue;
    Session* session = find(path);
    if (session == nullptr && !departed_.empty()) {
      if (const auto worker = departed_.find(path, now.mono)) {
        owner_.forward_datagram(path, *worker, datagram);
        continue;
      }
    }
    const bool begins = dtls::is_client_hello(datagram) &&
                        (session == nullptr || !session->association->began_with(datagram));
    if (begins) {
      on_hello(path, datagram, session);
    } else if (session != nullptr) {
      feed(*session, datagram, run.traffic_class);
    }
  }
}

// Nothing is kept, and no more is sent than came, until the cookie shows that the sender is where
// it says it is.
void DtlsDoor::on_hello(const turn::Path& path, ByteView datagram, Session* known) {
  if (!throttle_.allow(path.remote.ip, now_.mono)) return statistics_.hellos_throttled.add();
  Stranger stranger(*this, path);
  auto association = listener_.on_datagram(now_.mono, path.remote, datagram, stranger);
  if (association == nullptr) return;
  if (known != nullptr) close(*known, statistics_.closed_by_client);
  open(path, std::move(association));
}

void DtlsDoor::open(const turn::Path& path, std::unique_ptr<dtls::Association> association) {
  Session* session = add(path, std::move(association));
  if (session == nullptr) return statistics_.refused_crowded.add();
  session->handshake_ends = now_.mono + kHandshakeTime;
  statistics_.begun.add();
  enqueue(*session, handshaking_);
  make_room(handshaking_, limits_.handshakes);
  session->association->start();
  settle(*session);
}

DtlsDoor::Session* DtlsDoor::add(const turn::Path& path,
                                 std::unique_ptr<dtls::Association> association) {
  if (crowd_of(path.remote.ip) >= limits_.per_prefix) return nullptr;
  const SessionHandle handle = sessions_.emplace(*this);
  if (!handle) return nullptr;
  Session& session = *sessions_.find(handle);
  session.self = handle;
  session.path = path;
  session.path.transport = turn::Transport::kDtls;
  session.path.stream = handle.pack();
  session.association = std::move(association);
  session.association->send_to(session);
  session.timer.name(0, handle.pack());
  by_address_.emplace(Key{path.listener, path.remote}, handle);
  return &session;
}

void DtlsDoor::feed(Session& session, ByteView datagram, std::uint8_t traffic_class) {
  session.association->feed(datagram);
  while (const auto message = session.association->read(received_)) {
    session.last_heard = now_.mono;
    Run run = Run::one(*message);
    run.traffic_class = traffic_class;
    owner_.on_dtls_message(session.path, run);
    if (session.departs_to) return send_away(session, *message);
  }
  settle(session);
}

void DtlsDoor::bring(Tick now, std::uint64_t handle, ByteView message) {
  now_ = now;
  Session* session = sessions_.find(SessionHandle::unpack(handle));
  if (session == nullptr) return;
  owner_.on_dtls_message(session->path, Run::one(message));
  if (session->departs_to) send_away(*session, message);
}

void DtlsDoor::depart(std::uint64_t handle, std::uint32_t worker) {
  if (Session* session = sessions_.find(SessionHandle::unpack(handle))) {
    session->departs_to = worker;
  }
}

// With what else its last datagram held, for what is read later comes from the new worker's hands.
void DtlsDoor::send_away(Session& session, ByteView message) {
  const std::uint32_t worker = *std::exchange(session.departs_to, std::nullopt);
  DtlsDeparture departure;
  departure.messages.emplace_back(message.begin(), message.end());
  while (const auto more = session.association->read(received_)) {
    departure.messages.emplace_back(more->begin(), more->end());
  }
  const turn::Path path = listener_path(session.path);
  const bool open = session.association->state() == State::kEstablished;
  // Without room for a forward the request stays unanswered, and its client will try again.
  if (!open || !departed_.add(path, worker, now_.mono)) return settle(session);
  departure.path = path;
  departure.association = std::move(session.association);
  forget(session);
  statistics_.departed.add();
  if (!owner_.on_dtls_departure(worker, std::move(departure))) departed_.remove(path);
}

void DtlsDoor::adopt(Tick now, DtlsDeparture departure) {
  now_ = now;
  departed_.remove(departure.path);
  if (Session* before = find(departure.path)) close(*before, statistics_.closed_by_client);
  Session* session = add(departure.path, std::move(departure.association));
  if (session == nullptr) return statistics_.refused_crowded.add();
  statistics_.adopted.add();
  session->last_heard = now.mono;
  enqueue(*session, idle_);
  arm(*session);
  make_room(idle_, limits_.idle);
  for (const auto& message : departure.messages) {
    owner_.on_dtls_message(session->path, Run::one(message));
  }
  session->departs_to.reset();  // not twice for one datagram: its client asks again
  settle(*session);
}

// What the input has made of the session.
void DtlsDoor::settle(Session& session) {
  const State state = session.association->state();
  if (state == State::kClosed) return close(session, statistics_.closed_by_client);
  if (state == State::kEstablished && session.queue == &handshaking_) {
    statistics_.established.add();
    session.last_heard = now_.mono;
    enqueue(session, idle_);
    arm(session);
    return make_room(idle_, limits_.idle);
  }
  if (session.queue == &idle_) enqueue(session, idle_);  // heard of last
  if (session.queue == &handshaking_) arm(session);
}

void DtlsDoor::arm(Session& session) {
  if (session.queue == &idle_) return wheel_.arm(session.timer, session.last_heard + kIdleTime);
  const auto timeout = session.association->timeout();
  const MonoTime ends = session.handshake_ends;
  wheel_.arm(session.timer, timeout ? std::min(ends, now_.mono + *timeout) : ends);
}

void DtlsDoor::on_time(Tick now) {
  now_ = now;
  while (const Timer* timer = wheel_.take_expired(now.mono)) {
    Session* session = sessions_.find(SessionHandle::unpack(timer->subject()));
    CHECK(session != nullptr);  // a timer lives inside what it times
    if (session->association->state() == State::kClosed) {
      close(*session, statistics_.closed_by_client);
    } else if (session->queue == &handshaking_) {
      if (session->handshake_ends <= now.mono) {
        close(*session, statistics_.closed_late);
        continue;
      }
      session->association->on_timeout();
      settle(*session);
    } else if (session->last_heard + kIdleTime <= now.mono) {
      close(*session, statistics_.closed_idle);
    } else {
      arm(*session);
    }
  }
}

void DtlsDoor::close_all() {
  sessions_.for_each(
      [this](SessionHandle, Session& session) { close(session, statistics_.closed_by_client); });
}

void DtlsDoor::to_client(const turn::Path& path, const turn::Parts& parts) {
  Session* session = sessions_.find(SessionHandle::unpack(path.stream));
  const std::uint32_t messages = std::max(parts.body.count, 1u);
  if (session == nullptr) return statistics_.messages_dropped.add(messages);
  for (std::uint32_t i = 0; i < messages; ++i) {
    write(*session, parts, parts.body.count == 0 ? ByteView() : parts.body.segment(i));
  }
}

void DtlsDoor::write(Session& session, const turn::Parts& parts, ByteView body) {
  Writer out(sending_);
  out.bytes(parts.head);
  out.bytes(body);
  out.zeros(parts.pad);
  if (out.ok() && session.association->write(out.written())) return;
  statistics_.messages_dropped.add();
  // Called from inside the relay's inputs, so it ends a moment later: close() would call it back.
  if (session.association->state() == State::kClosed) wheel_.arm(session.timer, now_.mono);
}

// Called from inside the relay's inputs, so nothing is closed here.
void DtlsDoor::on_allocation(std::uint64_t handle, Allocation allocation) {
  Session* session = sessions_.find(SessionHandle::unpack(handle));
  if (session == nullptr) return;
  if (allocation == Allocation::kHeld) {
    leave_queue(*session);
    session->timer.disarm();
    return;
  }
  session->last_heard = std::max(session->last_heard, now_.mono);
  enqueue(*session, idle_);
  arm(*session);
}

// The relay learns of it while the session can still be found.
void DtlsDoor::close(Session& session, Counter& reason) {
  reason.add();
  owner_.on_dtls_gone(session.path);
  session.association->close();
  forget(session);
}

void DtlsDoor::forget(Session& session) {
  leave_queue(session);
  by_address_.erase(Key{session.path.listener, session.path.remote});
  sessions_.erase(session.self);
}

void DtlsDoor::enqueue(Session& session, Queue& queue) {
  leave_queue(session);
  queue.push_back(session);
  session.queue = &queue;
  ++crowd_of(session.path.remote.ip);
}

void DtlsDoor::leave_queue(Session& session) {
  Queue* queue = std::exchange(session.queue, nullptr);
  if (queue == nullptr) return;
  queue->erase(queue->iterator_to(session));
  --crowd_of(session.path.remote.ip);
}

void DtlsDoor::make_room(Queue& queue, std::uint32_t limit) {
  while (queue.size() > limit) close(queue.front(), statistics_.closed_crowded);
}

std::uint32_t& DtlsDoor::crowd_of(const IpAddress& ip) {
  return crowds_[hash_value(source_prefix(ip)) % kPrefixCells];
}

std::vector<std::uint64_t> DtlsDoor::audit(Findings& findings) {
  std::vector<std::uint64_t> privileged;
  std::vector<std::uint32_t> crowds(kPrefixCells);
  sessions_.for_each([&](SessionHandle handle, const Session& session) {
    const auto found = by_address_.find(Key{session.path.listener, session.path.remote});
    if (found == by_address_.end() || found->second != handle) {
      findings.add("the DTLS session with " + session.path.remote.to_string() +
                   " is not found by its address");
    }
    if (session.queue == nullptr) {
      privileged.push_back(handle.pack());
    } else {
      ++crowds[hash_value(source_prefix(session.path.remote.ip)) % kPrefixCells];
    }
    if (session.queue != nullptr && !session.timer.armed()) {
      findings.add("the DTLS session with " + session.path.remote.to_string() +
                   " has no allocation and no deadline");
    }
  });
  findings.expect_equal("addresses of DTLS sessions", by_address_.size(), sessions_.size());
  findings.expect_equal("DTLS sessions without an allocation", handshaking_.size() + idle_.size(),
                        sessions_.size() - privileged.size());
  if (crowds != crowds_) findings.add("DTLS sessions are counted for the wrong source prefixes");
  return privileged;
}

}  // namespace turnpike::server
