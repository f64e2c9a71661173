#include "server/echo_endpoint.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "stun/message.h"

namespace turnpike::server {

// A guest's place: its session, and what the tables know of it.
struct EchoEndpoint::Seat final : EchoSession::Owner {
  Seat(EchoEndpoint& its_endpoint, Tick now, Guest its_guest, const IpAddress& its_source)
      : endpoint(its_endpoint),
        guest(its_guest),
        source(its_source),
        session(now, its_endpoint.limits_.time,
                {its_endpoint.parts_.identity, its_endpoint.parts_.random, its_endpoint.addresses_},
                *this) {}
  ~Seat() override { Seat::forget(); }

  void send(ice::Base base, const Address& to, ByteView datagram) override {
    endpoint.parts_.network.send(base, to, datagram);
  }
  void say(std::string data) override {
    if (waiting_words >= kMaxWords) return;
    ++waiting_words;
    endpoint.words_.push_back({guest, std::move(data), false});
  }
  void listen_for(std::string_view its_fragment) override {
    endpoint.by_fragment_.erase(fragment);
    fragment = its_fragment;
    endpoint.by_fragment_[fragment] = this;
  }
  void listen_to(ice::Base base, const Address& remote) override {
    paths.push_back({base, remote});
    // Whoever proved last that it is there has the path: a tab that was loaded again, for one.
    endpoint.by_path_[paths.back()] = this;
  }
  void forget() override {
    endpoint.by_fragment_.erase(fragment);
    fragment.clear();
    for (const Path& path : std::exchange(paths, {})) {
      const auto found = endpoint.by_path_.find(path);
      if (found != endpoint.by_path_.end() && found->second == this) {
        endpoint.by_path_.erase(found);
      }
    }
  }
  bool is_relayed_here(const Address& remote) const override {
    return endpoint.parts_.network.is_relayed_here(remote);
  }

  EchoEndpoint& endpoint;
  const Guest guest;
  const IpAddress source;
  std::size_t waiting_words = 0;
  std::string fragment;
  std::vector<Path> paths;
  EchoSession session;
};

EchoEndpoint::EchoEndpoint(Limits limits, std::vector<Address> addresses, Parts parts)
    : limits_(limits), addresses_(std::move(addresses)), parts_(parts) {}

EchoEndpoint::~EchoEndpoint() = default;

std::optional<std::string_view> EchoEndpoint::refusal(const IpAddress& source) {
  if (guests_.size() >= limits_.guests) {
    ++statistics_.refused_full;
    return "every echo is taken: try again in a few minutes";
  }
  if (source.is_loopback()) return std::nullopt;
  const auto from_there = std::count_if(guests_.begin(), guests_.end(), [&](const auto& entry) {
    return source_prefix(entry.second->source) == source_prefix(source);
  });
  if (from_there < static_cast<std::ptrdiff_t>(kMaxPerSource)) return std::nullopt;
  ++statistics_.refused_per_source;
  return "your address has as many echoes as one may have";
}

void EchoEndpoint::on_guest(Tick now, Guest guest, const IpAddress& source) {
  const bool is_new =
      guests_.emplace(guest, std::make_unique<Seat>(*this, now, guest, source)).second;
  CHECK(is_new);
  ++statistics_.guests;
}

EchoEndpoint::Seat* EchoEndpoint::seat_of(Guest guest) {
  const auto found = guests_.find(guest);
  return found == guests_.end() ? nullptr : found->second.get();
}

void EchoEndpoint::on_message(Tick now, Guest guest, std::string_view data) {
  Seat* seat = seat_of(guest);
  if (seat != nullptr) seat->session.on_message(now, data);
}

void EchoEndpoint::on_gone(Tick now, Guest guest) {
  Seat* seat = seat_of(guest);
  if (seat == nullptr) return;
  seat->session.close(now);
  guests_.erase(guest);
  std::erase_if(words_, [guest](const Word& word) { return word.guest == guest; });
}

std::optional<signaling::EchoDesk::Word> EchoEndpoint::next_word() {
  if (words_.empty()) return std::nullopt;
  Word word = std::move(words_.front());
  words_.pop_front();
  if (Seat* seat = seat_of(word.guest)) --seat->waiting_words;
  return word;
}

// RFC 7983 section 7 tells STUN from the rest.
void EchoEndpoint::on_datagram(Tick now, ice::Base base, const Address& from, ByteView datagram) {
  if (datagram.empty()) return;
  if (datagram[0] < 4) {
    if (Seat* seat = seat_of_check(datagram)) seat->session.on_check(now, base, from, datagram);
    return;
  }
  if (!media::is_session_datagram(datagram)) return;
  const auto found = by_path_.find({base, from});
  if (found != by_path_.end()) found->second->session.on_datagram(now, datagram);
}

EchoEndpoint::Seat* EchoEndpoint::seat_of_check(ByteView bytes) {
  const auto message = stun::MessageView::parse(bytes);
  if (!message || message->message_class() != stun::Class::kRequest) return nullptr;
  const auto username = message->text(stun::Attribute::kUsername);
  if (!username) return nullptr;
  const auto found = by_fragment_.find(std::string(username->substr(0, username->find(':'))));
  return found == by_fragment_.end() ? nullptr : found->second;
}

void EchoEndpoint::on_time(Tick now) {
  std::vector<Guest> over;
  for (const auto& [guest, seat] : guests_) {
    if (seat->session.next_deadline() <= now.mono) seat->session.on_time(now);
    if (seat->session.is_over()) over.push_back(guest);
  }
  for (const Guest guest : over) {
    ++statistics_.timed_out;
    words_.push_back({guest, {}, true});
    guests_.erase(guest);
  }
}

MonoTime EchoEndpoint::next_deadline() const {
  MonoTime next = MonoTime::never();
  for (const auto& [guest, seat] : guests_) next = std::min(next, seat->session.next_deadline());
  return next;
}

void EchoEndpoint::close_all(Tick now) {
  for (const auto& [guest, seat] : guests_) seat->session.close(now);
}

}  // namespace turnpike::server
