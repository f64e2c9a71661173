// SctpAssociation: SCTP over DTLS (RFC 8261) by usrsctp, as a state machine: packets go in, packets
// and events come out, and nothing calls back. Owned by Channels.
//
// usrsctp is one for the whole process, with one set of timers. Every association of the process
// moves them, and all of them live on one thread (checked). What a timer makes an association send
// waits in it until its own next input, at most a poll away.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"

struct socket;

namespace turnpike::media {

class SctpAssociation {
 public:
  static constexpr std::uint16_t kStreams = 1024;
  static constexpr std::size_t kBuffer = 1 << 20;   // each direction
  static constexpr std::size_t kMaxPackets = 2048;  // waiting to be sent; the rest is lost
  static constexpr std::uint32_t kPathMtu = 1150;   // with DTLS around it still below 1200

  struct Settings {
    std::uint16_t local_port = 5000, remote_port = 5000;
    std::size_t max_message_size = 262144;  // to be received; who sends more is cut off
  };
  struct Event {
    enum class Kind : std::uint8_t {
      kUp,
      kDown,       // for good
      kMessage,    // whole
      kPeerReset,  // of the stream: the other side will send nothing more on it
      kOwnReset,   // ours of the stream is done, or was refused
      kWritable,
    };
    Kind kind = Kind::kUp;
    std::uint16_t stream = 0;
    std::uint32_t ppid = 0;
    std::vector<std::uint8_t> message;
  };
  struct Delivery {
    bool ordered = true;
    std::optional<std::uint32_t> max_retransmits, max_lifetime_ms;
  };
  enum class Sent : std::uint8_t { kYes, kNoRoom, kNo };

  // Sends its INIT. nullptr when there is no memory for it.
  static std::unique_ptr<SctpAssociation> create(MonoTime now, const Settings& settings);
  ~SctpAssociation();
  SctpAssociation(const SctpAssociation&) = delete;
  SctpAssociation& operator=(const SctpAssociation&) = delete;

  void on_packet(MonoTime now, ByteView packet);
  void on_time(MonoTime now);
  MonoTime next_deadline() const { return next_; }

  Sent send(MonoTime now, std::uint16_t stream, std::uint32_t ppid, ByteView message,
            const Delivery& delivery);
  // False: another reset is under way, ask again later.
  bool reset(MonoTime now, std::span<const std::uint16_t> streams);
  void abort(MonoTime now);
  // Bytes that were sent and are not confirmed.
  std::size_t buffered() const { return down_ ? 0 : buffered_; }

  std::optional<std::vector<std::uint8_t>> next_packet();
  std::optional<Event> next_event();

 private:
  friend class SctpStack;
  struct Receiver;
  // usrsctp does not say when its next timer is due.
  static constexpr milliseconds kPoll{20};
  static constexpr milliseconds kIdlePoll{200};
  static constexpr seconds kIdleAfter{3};

  SctpAssociation() = default;
  bool open();
  void on_message(std::uint16_t stream, std::uint32_t ppid, ByteView part, bool whole);
  void on_notification(ByteView notification);
  void on_room(std::size_t free);
  void touch(MonoTime now);

  Settings settings_;
  std::uintptr_t id_ = 0;            // what usrsctp knows it by: never a pointer that could dangle
  struct socket* socket_ = nullptr;  // the word tells it from the function
  bool up_ = false;
  bool down_ = false;
  bool refused_ = false;  // somebody waits for room
  std::size_t buffered_ = 0;
  std::deque<std::vector<std::uint8_t>> packets_;
  std::deque<Event> events_;
  // Messages of which parts have come, together never more than twice the largest.
  std::map<std::uint16_t, std::vector<std::uint8_t>> partial_;
  std::size_t partial_size_ = 0;
  MonoTime busy_until_;
  MonoTime next_ = MonoTime::never();
};

}  // namespace turnpike::media
