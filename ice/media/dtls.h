// DtlsTransport: one DTLS 1.2 association of a WebRTC session (RFC 8827 section 6.5): both sides
// show a certificate, the peer's is held against the fingerprints from its SDP, and SRTP keys are
// derived (RFC 5764). Owned by a Session; single thread.
//
// libssl reads the clock itself for its retransmissions, so deadlines are its durations added to
// the `now` of the last call.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/dtls.h"
#include "base/time.h"
#include "ice/media/fingerprint.h"
#include "ice/media/identity.h"
#include "ice/media/srtp.h"

namespace turnpike::media {

using DtlsRole = dtls::Association::Role;  // kClient says a=setup:active

struct SrtpKeys {
  SrtpProfile profile = SrtpProfile::kAes128CmSha1_80;
  // Master key and behind it the salt.
  std::vector<std::uint8_t> ours, theirs;
};

class DtlsTransport final : private dtls::Output {
 public:
  enum class State : std::uint8_t { kNew, kHandshaking, kConnected, kEnded };
  enum class Ending : std::uint8_t {
    kClosed,           // close_notify, by either side
    kHandshakeFailed,  // they do not understand each other, or a packet made it impossible
    kHandshakeTimedOut,
    kFingerprintRefused,  // the certificate is not the one that the signaling told of
  };

  // Must not call the transport from inside send_datagram().
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void send_dtls(ByteView datagram) = 0;
    virtual void on_dtls_connected() = 0;
    virtual void on_dtls_message(ByteView message) = 0;
    virtual void on_dtls_ended(Ending ending) = 0;
  };
  struct Settings {
    DtlsRole role = DtlsRole::kClient;
    std::vector<Fingerprint> fingerprints;  // one of them has to be right
    std::vector<SrtpProfile> profiles;      // preferred first; empty: no SRTP is offered
    seconds handshake_limit{30};
  };

  DtlsTransport(const Identity& identity, Settings settings, Owner& owner);
  ~DtlsTransport() override;

  void start(MonoTime now);  // the client's first flight
  void on_datagram(MonoTime now, ByteView datagram);
  void on_time(MonoTime now);
  MonoTime next_deadline() const { return next_; }

  bool write(ByteView message);
  void close();

  State state() const { return state_; }
  // What the handshake chose; nothing before, or when no profile was common.
  std::optional<SrtpKeys> srtp_keys();

 private:
  static constexpr milliseconds kFirstRepetition{400};
  static constexpr milliseconds kLongestRepetition{3000};

  void send(ByteView datagram) override { owner_.send_dtls(datagram); }
  void settle(MonoTime now);
  bool is_expected_peer() const;
  void end(Ending ending);
  void arm(MonoTime now);

  const Settings settings_;
  Owner& owner_;
  std::unique_ptr<dtls::Association> association_;
  State state_ = State::kNew;
  MonoTime give_up_at_ = MonoTime::never();
  MonoTime next_ = MonoTime::never();
  std::array<std::uint8_t, dtls::kMaxPayload> received_;
};

}  // namespace turnpike::media
