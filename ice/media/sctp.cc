#include "ice/media/sctp.h"

#include <usrsctp.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <unordered_map>

#include "base/check.h"

namespace turnpike::media {
namespace {

// usrsctp names the two ends of an association by a pointer that it never follows. Ours are
// numbers, so that a name is never given twice.
void* name_of(std::uintptr_t id) {
  return reinterpret_cast<void*>(id);  // NOLINT(performance-no-int-to-ptr)
}

thread_local bool is_home_thread = false;

void no_log(const char*, ...) {}

}  // namespace

// The process's usrsctp. Never destroyed: it may be asked for until the process ends.
class SctpStack {
 public:
  static SctpStack& get() {
    static SctpStack* const stack = new SctpStack;
    CHECK(is_home_thread);
    return *stack;
  }

  std::uintptr_t add(SctpAssociation& association) {
    const std::uintptr_t id = ++last_id_;
    associations_[id] = &association;
    usrsctp_register_address(name_of(id));
    return id;
  }
  void remove(std::uintptr_t id) {
    usrsctp_deregister_address(name_of(id));
    associations_.erase(id);
  }
  SctpAssociation* find(const void* id) const {
    const auto found = associations_.find(reinterpret_cast<std::uintptr_t>(id));
    return found == associations_.end() ? nullptr : found->second;
  }

  // Whoever comes first in a turn moves the timers of all. A clock that goes backwards is another
  // clock.
  void advance(MonoTime now) {
    if (now < last_) last_ = now;
    const auto elapsed = std::chrono::duration_cast<milliseconds>(now - last_);
    if (elapsed.count() == 0) return;
    last_ = last_ + elapsed;
    constexpr std::int64_t kLongest = 24L * 3600 * 1000;
    usrsctp_handle_timers(static_cast<std::uint32_t>(std::min(elapsed.count(), kLongest)));
  }

 private:
  SctpStack() {
    is_home_thread = true;
    usrsctp_init_nothreads(0, &SctpStack::output, &no_log);
    usrsctp_sysctl_set_sctp_blackhole(2);  // strangers are not answered
    usrsctp_sysctl_set_sctp_ecn_enable(0);
    usrsctp_sysctl_set_sctp_asconf_enable(0);
    usrsctp_sysctl_set_sctp_auth_enable(0);
    usrsctp_sysctl_set_sctp_nr_outgoing_streams_default(SctpAssociation::kStreams);
    usrsctp_sysctl_set_sctp_nr_incoming_streams_default(SctpAssociation::kStreams);
    usrsctp_sysctl_set_sctp_sendspace(SctpAssociation::kBuffer);
    usrsctp_sysctl_set_sctp_recvspace(SctpAssociation::kBuffer);
    // RFC 9260's minutes are for servers that are far away; ICE tells when the peer is gone.
    usrsctp_sysctl_set_sctp_rto_initial_default(1000);
    usrsctp_sysctl_set_sctp_rto_min_default(300);
    usrsctp_sysctl_set_sctp_rto_max_default(10'000);
    usrsctp_sysctl_set_sctp_init_rto_max_default(4000);
    usrsctp_sysctl_set_sctp_delayed_sack_time_default(20);
  }

  static int output(void* id, void* packet, std::size_t size, std::uint8_t, std::uint8_t) {
    SctpAssociation* association = get().find(id);
    if (association == nullptr) return 0;
    if (association->packets_.size() >= SctpAssociation::kMaxPackets) return 0;
    const auto* bytes = static_cast<const std::uint8_t*>(packet);
    association->packets_.emplace_back(bytes, bytes + size);
    return 0;
  }

  std::uintptr_t last_id_ = 0;
  std::unordered_map<std::uintptr_t, SctpAssociation*> associations_;
  MonoTime last_;
};

// What usrsctp calls.
struct SctpAssociation::Receiver {
  static int received(struct socket*, union sctp_sockstore, void* data, std::size_t size,
                      struct sctp_rcvinfo info, int flags, void* id) {
    SctpAssociation* association = SctpStack::get().find(id);
    if (data == nullptr) return 1;
    if (association != nullptr) {
      const ByteView bytes(static_cast<const std::uint8_t*>(data), size);
      if ((flags & MSG_NOTIFICATION) != 0) {
        association->on_notification(bytes);
      } else {
        association->on_message(info.rcv_sid, ntohl(info.rcv_ppid), bytes, (flags & MSG_EOR) != 0);
      }
    }
    std::free(data);  // usrsctp's contract
    return 1;
  }

  // After each packet that may have confirmed something.
  static int room(struct socket*, std::uint32_t free, void* id) {
    SctpAssociation* association = SctpStack::get().find(id);
    if (association != nullptr) association->on_room(free);
    return 1;
  }
};

namespace {

struct sockaddr_conn address_of(std::uintptr_t id, std::uint16_t port) {
  struct sockaddr_conn address {};
  address.sconn_family = AF_CONN;
  address.sconn_port = htons(port);
  address.sconn_addr = name_of(id);
  return address;
}

template <typename T>
bool set_option(struct socket* socket, int level, int name, const T& value) {
  return usrsctp_setsockopt(socket, level, name, &value, sizeof value) == 0;
}

bool set_options(struct socket* socket) {
  const struct linger at_once { 1, 0 };
  const int on = 1;
  const int buffer = static_cast<int>(SctpAssociation::kBuffer);
  const struct sctp_assoc_value resets {
    SCTP_ALL_ASSOC, SCTP_ENABLE_RESET_STREAM_REQ | SCTP_ENABLE_CHANGE_ASSOC_REQ
  };
  struct sctp_initmsg init {};
  init.sinit_num_ostreams = SctpAssociation::kStreams;
  init.sinit_max_instreams = SctpAssociation::kStreams;
  bool set = usrsctp_set_non_blocking(socket, 1) == 0 &&
             set_option(socket, SOL_SOCKET, SO_LINGER, at_once) &&
             set_option(socket, SOL_SOCKET, SO_RCVBUF, buffer) &&
             set_option(socket, SOL_SOCKET, SO_SNDBUF, buffer) &&
             set_option(socket, IPPROTO_SCTP, SCTP_NODELAY, on) &&
             set_option(socket, IPPROTO_SCTP, SCTP_ENABLE_STREAM_RESET, resets) &&
             set_option(socket, IPPROTO_SCTP, SCTP_INITMSG, init);
  for (const int type : {SCTP_ASSOC_CHANGE, SCTP_STREAM_RESET_EVENT, SCTP_PARTIAL_DELIVERY_EVENT}) {
    struct sctp_event event {};
    event.se_assoc_id = SCTP_ALL_ASSOC;
    event.se_type = static_cast<std::uint16_t>(type);
    event.se_on = 1;
    set = set && set_option(socket, IPPROTO_SCTP, SCTP_EVENT, event);
  }
  return set;
}

}  // namespace

std::unique_ptr<SctpAssociation> SctpAssociation::create(MonoTime now, const Settings& settings) {
  SctpStack& stack = SctpStack::get();
  stack.advance(now);
  std::unique_ptr<SctpAssociation> association(new SctpAssociation);
  association->settings_ = settings;
  association->id_ = stack.add(*association);
  if (!association->open()) return nullptr;
  association->touch(now);
  return association;
}

bool SctpAssociation::open() {
  socket_ = usrsctp_socket(AF_CONN, SOCK_STREAM, IPPROTO_SCTP, &Receiver::received, &Receiver::room,
                           0, name_of(id_));
  if (socket_ == nullptr || !set_options(socket_)) return false;
  struct sockaddr_conn ours = address_of(id_, settings_.local_port);
  struct sockaddr_conn theirs = address_of(id_, settings_.remote_port);
  if (usrsctp_bind(socket_, reinterpret_cast<sockaddr*>(&ours), sizeof ours) != 0) return false;
  struct sctp_paddrparams path {};
  path.spp_assoc_id = SCTP_FUTURE_ASSOC;
  path.spp_flags = SPP_PMTUD_DISABLE;
  path.spp_pathmtu = kPathMtu;
  if (!set_option(socket_, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, path)) return false;
  return usrsctp_connect(socket_, reinterpret_cast<sockaddr*>(&theirs), sizeof theirs) == 0 ||
         errno == EINPROGRESS;
}

SctpAssociation::~SctpAssociation() {
  if (socket_ != nullptr) usrsctp_close(socket_);
  SctpStack::get().remove(id_);
}

void SctpAssociation::touch(MonoTime now) {
  busy_until_ = now + kIdleAfter;
  next_ = down_ ? MonoTime::never() : now + kPoll;
}

void SctpAssociation::on_packet(MonoTime now, ByteView packet) {
  SctpStack::get().advance(now);
  if (down_) return;
  usrsctp_conninput(name_of(id_), packet.data(), packet.size(), 0);
  touch(now);
}

void SctpAssociation::on_time(MonoTime now) {
  SctpStack::get().advance(now);
  const bool busy = now < busy_until_ || !packets_.empty() || buffered() > 0 || !up_;
  next_ = down_ ? MonoTime::never() : now + (busy ? kPoll : kIdlePoll);
}

SctpAssociation::Sent SctpAssociation::send(MonoTime now, std::uint16_t stream, std::uint32_t ppid,
                                            ByteView message, const Delivery& delivery) {
  SctpStack::get().advance(now);
  if (down_) return Sent::kNo;
  if (!up_) {
    refused_ = true;
    return Sent::kNoRoom;
  }
  struct sctp_sendv_spa how {};
  how.sendv_flags = SCTP_SEND_SNDINFO_VALID;
  how.sendv_sndinfo.snd_sid = stream;
  how.sendv_sndinfo.snd_ppid = htonl(ppid);
  how.sendv_sndinfo.snd_flags =
      static_cast<std::uint16_t>(SCTP_EOR | (delivery.ordered ? 0 : SCTP_UNORDERED));
  if (delivery.max_retransmits) {
    how.sendv_flags |= SCTP_SEND_PRINFO_VALID;
    how.sendv_prinfo.pr_policy = SCTP_PR_SCTP_RTX;
    how.sendv_prinfo.pr_value = *delivery.max_retransmits;
  } else if (delivery.max_lifetime_ms) {
    how.sendv_flags |= SCTP_SEND_PRINFO_VALID;
    how.sendv_prinfo.pr_policy = SCTP_PR_SCTP_TTL;
    how.sendv_prinfo.pr_value = *delivery.max_lifetime_ms;
  }
  const ssize_t sent = usrsctp_sendv(socket_, message.data(), message.size(), nullptr, 0, &how,
                                     sizeof how, SCTP_SENDV_SPA, 0);
  touch(now);
  if (sent == static_cast<ssize_t>(message.size())) {
    buffered_ += message.size();
    return Sent::kYes;
  }
  if (sent >= 0 || (errno != EWOULDBLOCK && errno != EAGAIN && errno != ENOBUFS)) return Sent::kNo;
  refused_ = true;
  return Sent::kNoRoom;
}

void SctpAssociation::on_room(std::size_t free) {
  buffered_ = kBuffer - std::min(free, kBuffer);
  if (!refused_ || free < kBuffer / 2) return;
  refused_ = false;
  events_.push_back({.kind = Event::Kind::kWritable});
}

bool SctpAssociation::reset(MonoTime now, std::span<const std::uint16_t> streams) {
  SctpStack::get().advance(now);
  if (!up_ || down_) return false;
  const std::size_t size = sizeof(struct sctp_reset_streams) + streams.size() * 2;
  std::vector<std::uint32_t> room((size + 3) / 4);  // aligned for it
  auto* request = reinterpret_cast<struct sctp_reset_streams*>(room.data());
  request->srs_assoc_id = SCTP_ALL_ASSOC;
  request->srs_flags = SCTP_STREAM_RESET_OUTGOING;
  request->srs_number_streams = static_cast<std::uint16_t>(streams.size());
  std::copy(streams.begin(), streams.end(), request->srs_stream_list);
  const int result = usrsctp_setsockopt(socket_, IPPROTO_SCTP, SCTP_RESET_STREAMS, request,
                                        static_cast<socklen_t>(size));
  touch(now);
  return result == 0;
}

void SctpAssociation::abort(MonoTime now) {
  SctpStack::get().advance(now);
  if (socket_ != nullptr) usrsctp_close(socket_);  // lingering for no time: an ABORT
  socket_ = nullptr;
  down_ = true;
  next_ = MonoTime::never();
}

std::optional<std::vector<std::uint8_t>> SctpAssociation::next_packet() {
  if (packets_.empty()) return std::nullopt;
  auto packet = std::move(packets_.front());
  packets_.pop_front();
  return packet;
}

std::optional<SctpAssociation::Event> SctpAssociation::next_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void SctpAssociation::on_message(std::uint16_t stream, std::uint32_t ppid, ByteView part,
                                 bool whole) {
  if (down_) return;
  auto& message = partial_[stream];
  if (message.size() + part.size() > settings_.max_message_size ||
      partial_size_ + part.size() > 2 * settings_.max_message_size) {
    // The socket cannot be closed from inside usrsctp; the owner aborts.
    down_ = true;
    partial_.clear();
    events_.push_back({.kind = Event::Kind::kDown});
    return;
  }
  message.insert(message.end(), part.begin(), part.end());
  partial_size_ += part.size();
  if (!whole) return;
  partial_size_ -= message.size();
  events_.push_back({Event::Kind::kMessage, stream, ppid, std::move(message)});
  partial_.erase(stream);
}

void SctpAssociation::on_notification(ByteView bytes) {
  union sctp_notification notification {};
  std::memcpy(&notification, bytes.data(), std::min(bytes.size(), sizeof notification));
  switch (notification.sn_header.sn_type) {
    case SCTP_ASSOC_CHANGE: {
      const std::uint16_t state = notification.sn_assoc_change.sac_state;
      if (state == SCTP_COMM_UP && !up_) {
        up_ = true;
        events_.push_back({.kind = Event::Kind::kUp});
        if (refused_) events_.push_back({.kind = Event::Kind::kWritable});
        refused_ = false;
      } else if (state == SCTP_COMM_LOST || state == SCTP_SHUTDOWN_COMP ||
                 state == SCTP_CANT_STR_ASSOC) {
        if (!down_) events_.push_back({.kind = Event::Kind::kDown});
        down_ = true;
      }
      return;
    }
    case SCTP_PARTIAL_DELIVERY_EVENT: {
      const auto stream = static_cast<std::uint16_t>(notification.sn_pdapi_event.pdapi_stream);
      const auto found = partial_.find(stream);
      if (found == partial_.end()) return;
      partial_size_ -= found->second.size();
      partial_.erase(found);
      return;
    }
    case SCTP_STREAM_RESET_EVENT: {
      const std::uint16_t flags = notification.sn_strreset_event.strreset_flags;
      constexpr std::size_t kHead = offsetof(sctp_stream_reset_event, strreset_stream_list);
      for (std::size_t at = kHead; at + 2 <= bytes.size(); at += 2) {
        std::uint16_t stream = 0;
        std::memcpy(&stream, bytes.data() + at, 2);
        const bool theirs = (flags & SCTP_STREAM_RESET_INCOMING_SSN) != 0;
        events_.push_back(
            {.kind = theirs ? Event::Kind::kPeerReset : Event::Kind::kOwnReset, .stream = stream});
      }
      return;
    }
    default:
      return;
  }
}

}  // namespace turnpike::media
