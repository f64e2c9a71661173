#include "tools/load/turn_load_traffic.h"

#include <array>
#include <cstring>

#include "base/check.h"
#include "stun/builder.h"

namespace turnpike::load {
namespace {

constexpr unsigned kRefill = 16;                   // windows are filled in steps, not one by one
constexpr std::uint64_t kGivenUp = 50'000'000;     // silence after which a window is lost
constexpr std::uint64_t kMostBehind = 20'000'000;  // a pace that is missed is not caught up
constexpr int kReadsOfPeer = 4;
constexpr std::size_t kTransactionId = 8;

}  // namespace

Traffic::Traffic(const Options& options, Fleet& fleet, unsigned allocations, int peer_fd,
                 const Address& peer)
    : options_(options),
      fleet_(fleet),
      allocations_(allocations),
      peer_fd_(peer_fd),
      peer_(peer),
      outbox_(options.trains ? Trains::kYes : Trains::kNo),
      inbox_(options.trains ? Trains::kYes : Trains::kNo),
      flows_(std::size_t{allocations} * 2) {
  const bool short_cut = peer_fd_ < 0;
  lanes_[kUp].used = short_cut || options.directions != Directions::kDown;
  lanes_[kDown].used = !short_cut && options.directions != Directions::kUp;
  for (std::uint32_t i = 0; i < allocations; ++i) {
    const Session& session = fleet.session(i);
    relayed_.push_back(net::to_sockaddr(session.relayed()));
    std::vector<std::uint8_t> head(options.size + 128);
    Writer out(head);
    if (options.framing == Framing::kChannel) {
      out.u16(kDataChannel);
      out.u16(static_cast<std::uint16_t>(options.size));
      head.resize(out.size());
    } else {
      const std::vector<std::uint8_t> empty(options.size);
      stun::Builder builder(head, stun::Class::kIndication, stun::Method::kSend, {});
      builder.xor_address(stun::Attribute::kXorPeerAddress, session.peer())
          .bytes(stun::Attribute::kData, empty);
      head.resize(builder.finish().size() - options.size - padding_to_four(options.size));
    }
    head_size_ = head.size();
    heads_.push_back(std::move(head));
  }
  const bool padded = options.framing == Framing::kIndication || !is_datagram(options.transport);
  tail_ = padded ? padding_to_four(options.size) : 0;
  if (short_cut) return;
  fleet_.watch(peer_fd_, [this] { read_peer(); });
}

void Traffic::begin_measuring() {
  measuring_ = true;
  report_.done = 0;
  report_.latency.clear();
}

void Traffic::run_until(std::uint64_t end, Sending sending) {
  now_ = now_ns();
  next_send_ = now_;
  while (now_ < end && !interrupted()) {
    int patience = 1;
    if (sending == Sending::kYes) {
      if (options_.pace > 0) {
        keep_pace(now_);
        patience = 0;  // the pace is kept by looking at the clock
      } else {
        fill_window(now_);
      }
    }
    fleet_.turn(patience, *this);
    now_ = now_ns();
  }
}

void Traffic::fill_window(std::uint64_t now) {
  const std::uint64_t step =
      std::min<std::uint64_t>(std::max(options_.burst, kRefill), options_.window);
  for (const Direction direction : {kUp, kDown}) {
    Lane& lane = lanes_[direction];
    if (!lane.used) continue;
    if (lane.under_way > 0 && now - lane.last_arrival > kGivenUp) lane.under_way = 0;
    if (lane.under_way + step > options_.window) continue;
    // Both directions carry as many packets: their costs differ, and a server that prefers one of
    // them would otherwise be measured with a mix of its own.
    const Direction other = direction == kUp ? kDown : kUp;
    if (lanes_[other].used && report_.sent[direction] > report_.sent[other] + options_.window) {
      continue;
    }
    if (lane.under_way == 0) lane.last_arrival = now;
    // A session may be unable to send: the turns are bounded, not only the window.
    for (std::size_t i = 0; i < allocations_ + options_.window; ++i) {
      if (lane.under_way + options_.burst > options_.window) break;
      send_burst(direction);
    }
    outbox_.flush();
  }
}

void Traffic::keep_pace(std::uint64_t now) {
  const auto gap = static_cast<std::uint64_t>(1e9 / options_.pace * options_.burst);
  if (now > next_send_ + kMostBehind) next_send_ = now;
  while (next_send_ <= now) {
    next_lane_ ^= 1u;
    if (!lanes_[next_lane_].used) next_lane_ ^= 1u;
    send_burst(static_cast<Direction>(next_lane_));
    next_send_ += gap;
  }
  outbox_.flush();
}

void Traffic::send_burst(Direction direction) {
  Lane& lane = lanes_[direction];
  const auto index = static_cast<std::uint32_t>(lane.turn);
  lane.turn = lane.turn + 1 == allocations_ ? 0 : lane.turn + 1;
  Session& session = fleet_.session(index);
  if (session.state() != Session::State::kReady) return;
  if (direction == kUp && session.link().is_full()) return;
  Flow& flow = flows_[index * 2 + direction];
  for (unsigned i = 0; i < options_.burst; ++i) {
    if (direction == kUp) {
      send_up(session, flow);
    } else {
      send_down(session, flow);
    }
  }
  lane.under_way += options_.burst;
  report_.sent[direction] += options_.burst;
  if (direction == kDown || !session.link().is_stream()) return;
  session.link().flush();
  fleet_.want_write(session);
}

void Traffic::send_up(Session& session, Flow& flow) {
  Link& link = session.link();
  const std::uint32_t sequence = flow.next++;
  if (link.is_stream()) return compose_up(link.append(up_size()), session.index() * 2, sequence);
  if (link.is_plain_udp()) {
    const MutableBytes room = outbox_.add(link.fd(), nullptr, up_size());
    return compose_up(room, session.index() * 2, sequence);
  }
  scratch_.resize(up_size());
  compose_up(scratch_, session.index() * 2, sequence);
  link.send(scratch_);
}

void Traffic::compose_up(MutableBytes room, std::uint32_t flow, std::uint32_t sequence) {
  const std::vector<std::uint8_t>& head = heads_[flow / 2];
  std::memcpy(room.data(), head.data(), head.size());
  if (options_.framing == Framing::kIndication) {
    ++indications_;
    std::memcpy(room.data() + kTransactionId, &indications_, sizeof indications_);
  }
  payloads_.write(room.subspan(head.size(), options_.size), flow, sequence, now_ns());
  if (tail_ > 0) std::memset(room.data() + room.size() - tail_, 0, tail_);
}

void Traffic::send_down(Session& session, Flow& flow) {
  const MutableBytes room = outbox_.add(peer_fd_, &relayed_[session.index()], options_.size);
  payloads_.write(room, session.index() * 2 + 1, flow.next++, now_ns());
}

void Traffic::read_peer() {
  for (int i = 0; i < kReadsOfPeer; ++i) {
    now_ = now_ns();
    const unsigned count = inbox_.receive(peer_fd_, [&](const sockaddr* from, ByteView datagram) {
      Stamp stamp;
      // The datagram says which flow it is; its source must be that flow's relayed address.
      if (!payloads_.read(datagram, stamp) || stamp.flow / 2 >= allocations_) {
        ++report_.corrupt;
        return;
      }
      const Address& relayed = fleet_.session(stamp.flow / 2).relayed();
      judge(stamp.flow & ~1u, datagram, net::from_sockaddr(from) == relayed);
    });
    if (count < inbox_.slots()) return;
  }
}

void Traffic::on_payload(std::uint32_t session, const Address* peer, ByteView payload) {
  now_ = now_ns();
  const bool short_cut = peer_fd_ < 0;
  const std::uint32_t flow = short_cut ? (session ^ 1u) * 2 : session * 2 + 1;
  const bool right_way =
      session < allocations_ && (peer == nullptr || *peer == fleet_.session(session).peer());
  judge(flow, payload, right_way);
}

void Traffic::judge(std::uint32_t flow, ByteView payload, bool right_way) {
  Stamp stamp;
  if (!payloads_.read(payload, stamp) || payload.size() != options_.size) {
    ++report_.corrupt;
    return;
  }
  if (!right_way || stamp.flow != flow || flow >= flows_.size()) {
    ++report_.misrouted;
    return;
  }
  const unsigned direction = flow & 1u;
  Lane& lane = lanes_[direction];
  std::uint32_t passed = 0;
  switch (flows_[flow].arrivals.arrive(stamp.sequence, passed)) {
    case Arrivals::Verdict::kDuplicate:
      ++report_.duplicated;
      return;
    case Arrivals::Verdict::kTooOld:
      ++report_.too_old;
      return;
    case Arrivals::Verdict::kNew:
      break;
  }
  lane.under_way -= std::min<std::uint64_t>(lane.under_way, passed);
  lane.last_arrival = now_;
  ++report_.delivered[direction];
  if (!measuring_) return;
  ++report_.done;
  report_.latency.record(now_ > stamp.sent_at ? now_ - stamp.sent_at : 0);
}

}  // namespace turnpike::load
