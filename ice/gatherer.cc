#include "ice/gatherer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "stun/builder.h"

namespace turnpike::ice {
namespace {

// Among relayed addresses: the straighter the way to the server, the better.
std::uint16_t preference_of(CandidateType type, Base base, ServerTransport transport) {
  constexpr std::uint16_t kStep = 256;
  const auto rank = type == CandidateType::kRelayed ? static_cast<std::uint16_t>(transport) : 0;
  return static_cast<std::uint16_t>(65535 - rank * kStep - base);
}

bool is_stream(ServerTransport transport) {
  return transport == ServerTransport::kTcp || transport == ServerTransport::kTls;
}

}  // namespace

class Gatherer::Relay final : private turn::Client::Outputs {
 public:
  Relay(Gatherer& owner, std::size_t index)
      : owner_(owner),
        index_(index),
        base_(static_cast<Base>(owner.settings_.hosts.size() + index)),
        client_(settings_of(owner.settings_.servers[index]), owner.random_) {}

  bool settled() const { return settled_; }
  bool ended() const { return lost_ || (!client_.allocated() && !releasing_); }

  void allocate(Tick now) { client_.allocate(now, *this); }
  void on_packet(Tick now, ByteView message) { client_.on_packet(now, message, *this); }
  void on_time(Tick now) {
    client_.on_time(now, *this);
    for (const Address& peer : std::exchange(again_, {})) {
      client_.reach(now, peer, turn::Client::Binding::kPermission, *this);
    }
  }
  MonoTime next_deadline() const { return lost_ ? MonoTime::never() : client_.next_deadline(); }
  void reach(Tick now, const Address& peer, turn::Client::Binding binding) {
    if (peer.family() == family_) client_.reach(now, peer, binding, *this);
  }
  void send(const Address& peer, ByteView bytes) {
    if (!lost_ && peer.family() == family_) client_.send(peer, bytes, *this);
  }
  void release(Tick now) {
    if (lost_ || !client_.allocated()) return;
    releasing_ = true;
    client_.release(now, *this);
  }
  void on_link_lost() {
    if (lost_) return;
    lost_ = true;
    const bool was_releasing = std::exchange(releasing_, false);
    if (!was_releasing) owner_.outputs_.on_trouble(index_, Trouble::kLinkLost, 0);
    settle();
  }

 private:
  static turn::Client::Settings settings_of(const Server& server) {
    turn::Client::Settings settings;
    settings.username = server.username;
    settings.password = server.password;
    if (is_stream(server.transport)) {
      settings.reliability = stun::Transaction::Reliability::kReliable;
    }
    return settings;
  }
  void settle() {
    settled_ = true;
    owner_.settle();
  }

  void to_server(ByteView message) override {
    if (!lost_) owner_.outputs_.to_server(index_, message);
  }
  void on_allocated(const Address& relayed, const Address& mapped) override {
    family_ = relayed.family();
    owner_.offer(CandidateType::kRelayed, relayed, base_, mapped, index_);
    settle();
  }
  void on_peer_ready(const Address&) override {}
  void on_peer_refused(const Address& peer, std::uint16_t code) override {
    // Nobody answered: once more, from on_time(), because the client is in the middle of it.
    if (code == 0 && reaches_++ < kMaxReaches) again_.push_back(peer);
  }
  void on_data(const Address& peer, ByteView data) override {
    owner_.outputs_.on_relayed(base_, peer, data);
  }
  void on_ended(turn::Client::Ending ending, std::uint16_t code) override {
    using Ending = turn::Client::Ending;
    lost_ = true;
    if (std::exchange(releasing_, false) || ending == Ending::kReleased) return;
    const Trouble trouble = ending == Ending::kTimedOut ? Trouble::kNoAnswer
                            : ending == Ending::kLost   ? Trouble::kLost
                                                        : Trouble::kRefused;
    owner_.outputs_.on_trouble(index_, trouble, code);
    settle();
  }

  Gatherer& owner_;
  const std::size_t index_;
  const Base base_;
  turn::Client client_;
  Family family_ = Family::kIPv4;  // of the relayed address, and so of the peers
  std::vector<Address> again_;
  int reaches_ = 0;
  bool settled_ = false;  // a candidate came of it, or never will
  bool releasing_ = false;
  bool lost_ = false;
};

Gatherer::Gatherer(Settings settings, Random& random, Outputs& outputs)
    : settings_(std::move(settings)), random_(random), outputs_(outputs) {
  if (settings_.policy == Policy::kRelay) settings_.hosts.clear();
  if (settings_.hosts.size() > kMaxHosts) settings_.hosts.resize(kMaxHosts);
  if (settings_.servers.size() > kMaxServers) settings_.servers.resize(kMaxServers);
}

Gatherer::~Gatherer() = default;

void Gatherer::start(Tick now) {
  CHECK(!std::exchange(started_, true));
  for (std::size_t i = 0; i < settings_.servers.size(); ++i) {
    const bool turn = settings_.servers[i].kind == ServerKind::kTurn;
    relays_.push_back(turn ? std::make_unique<Relay>(*this, i) : nullptr);
  }
  for (Base host = 0; host < settings_.hosts.size(); ++host) {
    offer(CandidateType::kHost, settings_.hosts[host], host, std::nullopt, kMaxServers);
  }
  for (Base host = 0; host < settings_.hosts.size(); ++host) {
    for (std::size_t i = 0; i < settings_.servers.size(); ++i) ask(now, host, i);
  }
  for (std::size_t i = 0; i < relays_.size(); ++i) {
    if (relays_[i] != nullptr) outputs_.open_link(i);
  }
  settle();
}

// TURN servers answer Binding requests, too (RFC 8656 section 3.1); one question for an address.
void Gatherer::ask(Tick now, Base host, std::size_t server) {
  const Server& asked = settings_.servers[server];
  if (asked.transport != ServerTransport::kUdp) return;
  if (asked.address.family() != settings_.hosts[host].family()) return;
  for (const Question& question : questions_) {
    const Server& other = settings_.servers[question.server];
    if (question.host == host && other.address == asked.address) return;
  }
  Question question{.host = host,
                    .server = server,
                    .id = {},
                    .message = {},
                    .transaction = {now.mono, stun::Transaction::Reliability::kUnreliable}};
  random_.fill(question.id);
  std::array<std::uint8_t, 64> room;
  stun::Builder builder(room, stun::Class::kRequest, stun::Method::kBinding, question.id);
  const ByteView bytes = builder.finish();
  question.message.assign(bytes.begin(), bytes.end());
  questions_.push_back(std::move(question));
  outputs_.to_network(host, asked.address, bytes);
}

bool Gatherer::on_network(Base host, const Address& from, ByteView message) {
  const auto view = stun::MessageView::parse(message);
  if (!view) return false;
  const stun::Class cls = view->message_class();
  if (cls != stun::Class::kSuccess && cls != stun::Class::kError) return false;
  const auto found = std::find_if(questions_.begin(), questions_.end(), [&](const Question& one) {
    return one.host == host && one.id == view->transaction_id();
  });
  if (found == questions_.end()) return false;
  const std::size_t server = found->server;
  if (settings_.servers[server].address != from) return false;
  questions_.erase(found);
  const auto mapped = view->xor_address(stun::Attribute::kXorMappedAddress);
  // Without a NAT it is the host candidate over again (RFC 8445 section 5.1.3).
  if (cls == stun::Class::kSuccess && mapped && *mapped != settings_.hosts[host]) {
    offer(CandidateType::kServerReflexive, *mapped, host, settings_.hosts[host], server);
  }
  settle();
  return true;
}

void Gatherer::on_link_open(Tick now, std::size_t server) { relays_[server]->allocate(now); }
void Gatherer::on_link_lost(std::size_t server) { relays_[server]->on_link_lost(); }
void Gatherer::on_server_message(Tick now, std::size_t server, ByteView message) {
  relays_[server]->on_packet(now, message);
}

void Gatherer::on_time(Tick now) {
  questions_on_time(now);
  for (const auto& relay : relays_) {
    if (relay != nullptr && relay->next_deadline() <= now.mono) relay->on_time(now);
  }
}

void Gatherer::questions_on_time(Tick now) {
  const std::size_t before = questions_.size();
  std::erase_if(questions_, [&](Question& question) {
    if (question.transaction.next() > now.mono) return false;
    const auto due = question.transaction.on_time(now.mono);
    if (due == stun::Transaction::Due::kSend) {
      outputs_.to_network(question.host, settings_.servers[question.server].address,
                          question.message);
    }
    return due == stun::Transaction::Due::kFailed;
  });
  if (questions_.size() != before) settle();
}

MonoTime Gatherer::next_deadline() const {
  MonoTime next = MonoTime::never();
  for (const Question& question : questions_) next = std::min(next, question.transaction.next());
  for (const auto& relay : relays_) {
    if (relay != nullptr) next = std::min(next, relay->next_deadline());
  }
  return next;
}

void Gatherer::reach(Tick now, Base base, const Address& peer) {
  if (Relay* relay = relay_of(base)) relay->reach(now, peer, turn::Client::Binding::kPermission);
}

void Gatherer::prefer(Tick now, Base base, const Address& peer) {
  if (Relay* relay = relay_of(base)) relay->reach(now, peer, turn::Client::Binding::kChannel);
}

void Gatherer::send(Base base, const Address& to, ByteView bytes) {
  if (!is_relay(base)) return outputs_.to_network(base, to, bytes);
  if (Relay* relay = relay_of(base)) relay->send(to, bytes);
}

void Gatherer::release(Tick now) {
  questions_.clear();
  for (const auto& relay : relays_) {
    if (relay != nullptr) relay->release(now);
  }
}

bool Gatherer::released() const {
  return std::all_of(relays_.begin(), relays_.end(),
                     [](const auto& relay) { return relay == nullptr || relay->ended(); });
}

Gatherer::Relay* Gatherer::relay_of(Base base) {
  if (!is_relay(base) || server_of(base) >= relays_.size()) return nullptr;
  return relays_[server_of(base)].get();
}

void Gatherer::offer(CandidateType type, const Address& address, Base base,
                     const std::optional<Address>& related, std::size_t server) {
  const bool of_server = server < settings_.servers.size();
  const auto transport = of_server ? settings_.servers[server].transport : ServerTransport::kUdp;
  Candidate candidate;
  candidate.type = type;
  candidate.address = address;
  candidate.priority = priority_of(type, preference_of(type, base, transport));
  candidate.related = related;
  candidate.foundation =
      foundation_of(type, is_relay(base) ? address.ip : settings_.hosts[base].ip,
                    of_server ? settings_.servers[server].address.ip : IpAddress());
  // Who may only be reached by relay does not tell its address this way either (RFC 8828).
  if (settings_.policy == Policy::kRelay && candidate.related) {
    candidate.related = Address{IpAddress::any(address.family()), 0};
  }
  outputs_.on_candidate(candidate, base);
}

// Section 5.1.1.3: one for each type, base address and server.
std::string Gatherer::foundation_of(CandidateType type, const IpAddress& base,
                                    const IpAddress& server) {
  std::string key(name_of(type));
  key.append(" ").append(base.to_string()).append(" ").append(server.to_string());
  const auto found = std::find(foundations_.begin(), foundations_.end(), key);
  const auto number = static_cast<std::size_t>(found - foundations_.begin()) + 1;
  if (found == foundations_.end()) foundations_.push_back(std::move(key));
  return std::to_string(number);
}

void Gatherer::settle() {
  if (gathered_ || !questions_.empty()) return;
  if (relays_.size() != settings_.servers.size()) return;
  for (const auto& relay : relays_) {
    if (relay != nullptr && !relay->settled()) return;
  }
  gathered_ = true;
  outputs_.on_gathered();
}

}  // namespace turnpike::ice
