#include "ice/media/srtp.h"

#include <srtp2/srtp.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/digest.h"

namespace turnpike::media {
namespace {

// Packets that come so late can be told from replays.
constexpr unsigned long kReplayWindow = 1024;

bool initialised() {
  static const bool done = srtp_init() == srtp_err_status_ok;
  return done;
}

void set_policy(SrtpProfile profile, srtp_policy_t& policy) {
  switch (profile) {
    case SrtpProfile::kAes128CmSha1_80:
      srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtp);
      srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtcp);
      return;
    case SrtpProfile::kAeadAes128Gcm:
      srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
      srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
      return;
    case SrtpProfile::kAeadAes256Gcm:
      srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtp);
      srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtcp);
      return;
  }
}

}  // namespace

std::string_view name_of(SrtpProfile profile) {
  switch (profile) {
    case SrtpProfile::kAes128CmSha1_80:
      return "SRTP_AES128_CM_SHA1_80";
    case SrtpProfile::kAeadAes128Gcm:
      return "SRTP_AEAD_AES_128_GCM";
    case SrtpProfile::kAeadAes256Gcm:
      return "SRTP_AEAD_AES_256_GCM";
  }
  return "";
}

SrtpSizes sizes_of(SrtpProfile profile) {
  switch (profile) {
    case SrtpProfile::kAes128CmSha1_80:
      return {16, 14};
    case SrtpProfile::kAeadAes128Gcm:
      return {16, 12};
    case SrtpProfile::kAeadAes256Gcm:
      return {32, 12};
  }
  return {0, 0};
}

std::optional<SrtpStream> SrtpStream::create(SrtpProfile profile, Direction direction,
                                             ByteView key) {
  const SrtpSizes sizes = sizes_of(profile);
  if (!initialised() || key.size() != sizes.key + sizes.salt) return std::nullopt;
  std::vector<std::uint8_t> own_key(key.begin(), key.end());
  srtp_policy_t policy{};
  set_policy(profile, policy);
  policy.ssrc.type = direction == Direction::kSend ? ssrc_any_outbound : ssrc_any_inbound;
  policy.key = own_key.data();
  policy.window_size = kReplayWindow;
  srtp_t context = nullptr;
  const srtp_err_status_t status = srtp_create(&context, &policy);
  wipe(own_key);
  if (status != srtp_err_status_ok) return std::nullopt;
  return SrtpStream(context);
}

SrtpStream::SrtpStream(SrtpStream&& other) noexcept
    : context_(std::exchange(other.context_, nullptr)), counters_(other.counters_) {}

SrtpStream& SrtpStream::operator=(SrtpStream&& other) noexcept {
  std::swap(context_, other.context_);
  std::swap(counters_, other.counters_);
  return *this;
}

SrtpStream::~SrtpStream() {
  if (context_ != nullptr) srtp_dealloc(context_);
}

std::optional<MutableBytes> SrtpStream::outcome(int status, MutableBytes room, int size) {
  switch (status) {
    case srtp_err_status_ok:
      CHECK(size >= 0 && static_cast<std::size_t>(size) <= room.size());
      return room.first(static_cast<std::size_t>(size));
    case srtp_err_status_replay_fail:
    case srtp_err_status_replay_old:
      ++counters_.replayed;
      return std::nullopt;
    case srtp_err_status_auth_fail:
    case srtp_err_status_cipher_fail:  // how an AEAD that does not authenticate may show
      ++counters_.not_authentic;
      return std::nullopt;
    default:
      ++counters_.malformed;
      return std::nullopt;
  }
}

std::optional<MutableBytes> SrtpStream::protect_rtp(MutableBytes room, std::size_t size) {
  if (size + kSrtpOverhead > room.size()) return std::nullopt;
  int length = static_cast<int>(size);
  const int status = srtp_protect(context_, room.data(), &length);
  return outcome(status, room, length);
}

std::optional<MutableBytes> SrtpStream::protect_rtcp(MutableBytes room, std::size_t size) {
  if (size + kSrtpOverhead > room.size()) return std::nullopt;
  int length = static_cast<int>(size);
  const int status = srtp_protect_rtcp(context_, room.data(), &length);
  return outcome(status, room, length);
}

std::optional<MutableBytes> SrtpStream::unprotect_rtp(MutableBytes packet) {
  int length = static_cast<int>(packet.size());
  const int status = srtp_unprotect(context_, packet.data(), &length);
  return outcome(status, packet, length);
}

std::optional<MutableBytes> SrtpStream::unprotect_rtcp(MutableBytes packet) {
  int length = static_cast<int>(packet.size());
  const int status = srtp_unprotect_rtcp(context_, packet.data(), &length);
  return outcome(status, packet, length);
}

}  // namespace turnpike::media
