// Stories of the echo endpoint: guests that come, say JSON, send datagrams from a few addresses,
// and go. Whatever happens, nothing is sent to an address that no good check came from, what the
// echo says is JSON for somebody who is there, no more guests are in than may be, and when all have
// gone nobody is left.
//
// A story is steps of an operation, a number, a length of two bytes and so many bytes:
//
//   J n            guest n comes             G n            and goes
//   M n JSON       says that                 O n            offers what a browser offers
//   D n datagram   from address n            C n attribute  a check of guest n with the right
//   T n            n quarters of a second                   password, from address n % 4
#include <array>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/random.h"
#include "ice/media/identity.h"
#include "ice/media/sdp.h"
#include "server/echo_endpoint.h"
#include "signaling/json_text.h"
#include "stun/builder.h"

namespace turnpike::server {
namespace {

constexpr std::size_t kMaxSteps = 256, kAddresses = 4;
constexpr std::uint32_t kPlaces = 3;
constexpr std::uint64_t kNames = 6;  // of guests, some of whom find no place
constexpr std::string_view kOffer =
    R"({"description":{"type":"offer","sdp":"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n)"
    R"(a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n)"
    R"(a=ice-ufrag:abcd\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\na=fingerprint:sha-256 )"
    R"(00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:)"
    R"(DD:EE:FF\r\na=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n)"
    R"(a=rtpmap:111 opus/48000/2\r\na=ssrc:7 cname:c\r\n)"
    R"(m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n)"
    R"(a=ice-ufrag:abcd\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\na=setup:actpass\r\n)"
    R"(a=mid:1\r\na=sctp-port:5000\r\n"}})";

const media::Identity& identity() {
  static const std::unique_ptr<media::Identity> made = media::Identity::create();
  CHECK(made != nullptr);
  return *made;
}

class Story final : private EchoEndpoint::Network {
 public:
  Story() : endpoint_({kPlaces, seconds(30)}, {at("198.51.100.1", 50000)}, parts()) {}

  void play(Reader& in) {
    for (std::size_t step = 0; step < kMaxSteps && in.remaining() >= 4; ++step) {
      const char operation = static_cast<char>(in.u8());
      const std::uint8_t number = in.u8();
      const std::size_t length = std::min<std::size_t>(in.u16(), in.remaining());
      take(operation, number, in.bytes(length));
      listen();
    }
    for (std::uint64_t name = 0; name < kNames; ++name) leave(name);
    listen();
    CHECK(endpoint_.guest_count() == 0);
    CHECK(endpoint_.next_deadline() == MonoTime::never());
    CHECK(!endpoint_.has_word());
  }

 private:
  struct Seat {
    EchoEndpoint::Guest guest = 0;  // 0: not in
    ice::IceCredentials echo;       // of its last answer
  };

  static Address at(const char* ip, std::uint16_t port) { return {*IpAddress::parse(ip), port}; }
  EchoEndpoint::Parts parts() { return {identity(), random_, *this}; }
  static Address address_of(std::size_t number) {
    return at("203.0.113.9", static_cast<std::uint16_t>(4000 + number % kAddresses));
  }

  void take(char operation, std::uint8_t number, ByteView bytes) {
    Seat& seat = seats_[number % kNames];
    switch (operation) {
      case 'J':
        return join(number);
      case 'G':
        return leave(number % kNames);
      case 'M':
        // The hub passes on JSON only.
        if (seat.guest != 0 && signaling::is_json(as_text(bytes))) {
          endpoint_.on_message(now_, seat.guest, as_text(bytes));
        }
        return;
      case 'O':
        if (seat.guest != 0) endpoint_.on_message(now_, seat.guest, kOffer);
        return;
      case 'D':
        return endpoint_.on_datagram(now_, 0, address_of(number), bytes);
      case 'C':
        return check(seat, number, bytes);
      case 'T':
        now_.mono = now_.mono + milliseconds(250) * number;
        return endpoint_.on_time(now_);
      default:
        return;
    }
  }

  void join(std::uint8_t number) {
    Seat& seat = seats_[number % kNames];
    const IpAddress source = *IpAddress::parse(number % 2 == 0 ? "203.0.113.9" : "203.0.113.10");
    if (seat.guest != 0 || endpoint_.refusal(source)) return;
    seat = {next_guest_++, {}};
    endpoint_.on_guest(now_, seat.guest, source);
    CHECK(endpoint_.guest_count() <= kPlaces);
  }

  void leave(std::uint64_t name) {
    Seat& seat = seats_[name];
    if (seat.guest != 0) endpoint_.on_gone(now_, seat.guest);
    seat = {};
  }

  void check(const Seat& seat, std::uint8_t number, ByteView attribute) {
    if (seat.echo.ufrag.empty()) return;
    std::array<std::uint8_t, 1024> room;
    stun::TransactionId id{};
    id[0] = number;
    stun::Builder builder(room, stun::Class::kRequest, stun::Method::kBinding, id);
    builder.text(stun::Attribute::kUsername, seat.echo.ufrag + ":abcd")
        .u32(stun::Attribute::kPriority, 1)
        .u64(stun::Attribute::kIceControlling, 1)
        .flag(stun::Attribute::kUseCandidate);
    Reader in(attribute.first(std::min<std::size_t>(attribute.size(), 256)));
    const std::uint16_t type = in.u16();
    if (in.ok()) builder.bytes(static_cast<stun::Attribute>(type), in.bytes(in.remaining()));
    builder.message_integrity(as_bytes(seat.echo.password)).fingerprint();
    const ByteView message = builder.finish();
    if (message.empty()) return;
    known_.insert(address_of(number));
    endpoint_.on_datagram(now_, 0, address_of(number), message);
  }

  // What the echo says, as the hub would ask for it.
  void listen() {
    while (const auto word = endpoint_.next_word()) {
      Seat* seat = nullptr;
      for (Seat& one : seats_) seat = one.guest == word->guest ? &one : seat;
      CHECK(seat != nullptr);
      CHECK(word->leaves || signaling::is_json(word->data));
      learn(*seat, word->data);
      if (word->leaves) *seat = {};
    }
  }

  // The answer's lines are in a JSON string; what they hold needs no escape.
  static void learn(Seat& seat, const std::string& data) {
    const auto value = [&data](std::string_view name) -> std::string {
      const std::size_t found = data.find(name);
      if (found == std::string::npos) return "";
      const std::size_t begin = found + name.size();
      return data.substr(begin, data.find('\\', begin) - begin);
    };
    const std::string fragment = value("a=ice-ufrag:");
    if (!fragment.empty()) seat.echo = {fragment, value("a=ice-pwd:")};
  }

  void send(ice::Base base, const Address& to, ByteView datagram) override {
    CHECK(base == 0 && !datagram.empty());
    CHECK(known_.contains(to));
  }
  bool is_relayed_here(const Address&) const override { return false; }

  SeededRandom random_{1};
  Tick now_{{seconds(1000)}, {seconds(1767225600)}};
  std::array<Seat, kNames> seats_{};
  std::set<Address> known_;
  EchoEndpoint::Guest next_guest_ = 1;
  EchoEndpoint endpoint_;
};

}  // namespace
}  // namespace turnpike::server

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  turnpike::Reader in({data, size});
  turnpike::server::Story().play(in);
  return 0;
}
