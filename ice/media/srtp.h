// SRTP and SRTCP (RFC 3711, RFC 7714) by libsrtp2, keyed by DTLS (RFC 5764). Errors are values;
// what does not authenticate, or was seen before, is counted and gone. Owned by a Session; single
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"

struct srtp_ctx_t_;

namespace turnpike::media {

// The numbers of the IANA registry "DTLS-SRTP Protection Profiles".
enum class SrtpProfile : std::uint16_t {
  kAes128CmSha1_80 = 0x0001,
  kAeadAes128Gcm = 0x0007,
  kAeadAes256Gcm = 0x0008,
};
std::string_view name_of(SrtpProfile profile);  // "SRTP_AES128_CM_SHA1_80", as libssl writes it

struct SrtpSizes {
  std::size_t key, salt;
};
SrtpSizes sizes_of(SrtpProfile profile);

// What protection adds to a packet at most: an authentication tag, and for SRTCP the index.
inline constexpr std::size_t kSrtpOverhead = 16 + 4;

struct SrtpCounters {
  std::uint64_t not_authentic = 0;
  std::uint64_t replayed = 0;
  std::uint64_t malformed = 0;
};

// One direction of one session.
class SrtpStream {
 public:
  enum class Direction : std::uint8_t { kSend, kReceive };

  // `key` is the master key and behind it the salt. Nothing when libsrtp refuses.
  static std::optional<SrtpStream> create(SrtpProfile profile, Direction direction, ByteView key);
  SrtpStream(SrtpStream&& other) noexcept;
  SrtpStream& operator=(SrtpStream&& other) noexcept;
  ~SrtpStream();

  // In place; the answer begins where `room` does. Protecting needs kSrtpOverhead bytes behind
  // `size`. Nothing: it may not be sent, or is counted.
  std::optional<MutableBytes> protect_rtp(MutableBytes room, std::size_t size);
  std::optional<MutableBytes> protect_rtcp(MutableBytes room, std::size_t size);
  std::optional<MutableBytes> unprotect_rtp(MutableBytes packet);
  std::optional<MutableBytes> unprotect_rtcp(MutableBytes packet);

  const SrtpCounters& counters() const { return counters_; }

 private:
  explicit SrtpStream(srtp_ctx_t_* context) : context_(context) {}
  std::optional<MutableBytes> outcome(int status, MutableBytes room, int size);

  srtp_ctx_t_* context_ = nullptr;
  SrtpCounters counters_;
};

}  // namespace turnpike::media
