#include "ice/media/dtls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <string>

#include "base/digest.h"

namespace turnpike::media {
namespace {

constexpr std::string_view kKeyLabel = "EXTRACTOR-dtls_srtp";  // RFC 5764 section 4.2

// Doubled intervals, in microseconds. RFC 6347 section 4.2.4.1 begins with a second, which is long
// for somebody who waits for a call; round trips of more than 400 ms are rare.
template <std::int64_t kFirst, std::int64_t kLongest>
unsigned next_interval(SSL*, unsigned last) {
  if (last == 0) return static_cast<unsigned>(kFirst);
  return static_cast<unsigned>(std::min<std::int64_t>(std::int64_t{last} * 2, kLongest));
}

std::string profile_names(const std::vector<SrtpProfile>& profiles) {
  std::string names;
  for (const SrtpProfile profile : profiles) {
    if (!names.empty()) names += ':';
    names += name_of(profile);
  }
  return names;
}

std::vector<std::uint8_t> peer_certificate(SSL* ssl) {
  X509* certificate = SSL_get1_peer_certificate(ssl);
  if (certificate == nullptr) return {};
  std::vector<std::uint8_t> der;
  const int size = i2d_X509(certificate, nullptr);
  if (size > 0) {
    der.resize(static_cast<std::size_t>(size));
    unsigned char* at = der.data();
    i2d_X509(certificate, &at);
  }
  X509_free(certificate);
  return der;
}

}  // namespace

DtlsTransport::DtlsTransport(const Identity& identity, Settings settings, Owner& owner)
    : settings_(std::move(settings)),
      owner_(owner),
      association_(dtls::Association::create(identity.context(), settings_.role, *this)) {
  if (association_ == nullptr) return;
  SSL* ssl = association_->raw();
  constexpr auto kInterval = &next_interval<std::chrono::microseconds(kFirstRepetition).count(),
                                            std::chrono::microseconds(kLongestRepetition).count()>;
  DTLS_set_timer_cb(ssl, kInterval);
  // Unlike everything else in libssl, this answers zero when it has worked.
  if (!settings_.profiles.empty() &&
      SSL_set_tlsext_use_srtp(ssl, profile_names(settings_.profiles).c_str()) != 0) {
    association_.reset();
  }
  ERR_clear_error();
}

DtlsTransport::~DtlsTransport() = default;

void DtlsTransport::start(MonoTime now) {
  if (state_ != State::kNew) return;
  if (association_ == nullptr) return end(Ending::kHandshakeFailed);
  state_ = State::kHandshaking;
  give_up_at_ = now + settings_.handshake_limit;
  association_->start();
  settle(now);
}

void DtlsTransport::on_datagram(MonoTime now, ByteView datagram) {
  if (state_ != State::kHandshaking && state_ != State::kConnected) return;
  association_->feed(datagram);
  settle(now);
}

void DtlsTransport::on_time(MonoTime now) {
  if (state_ != State::kHandshaking && state_ != State::kConnected) return;
  if (state_ == State::kHandshaking && now >= give_up_at_) return end(Ending::kHandshakeTimedOut);
  association_->on_timeout();
  settle(now);
}

void DtlsTransport::settle(MonoTime now) {
  using dtls::Association;
  if (state_ == State::kHandshaking && association_->state() == Association::State::kEstablished) {
    if (!is_expected_peer()) return end(Ending::kFingerprintRefused);
    state_ = State::kConnected;
    owner_.on_dtls_connected();
  }
  while (state_ == State::kConnected) {
    const auto message = association_->read(received_);
    if (!message) break;
    owner_.on_dtls_message(*message);
  }
  if (state_ == State::kEnded) return;
  if (association_->state() == Association::State::kClosed) {
    return end(state_ == State::kHandshaking ? Ending::kHandshakeFailed : Ending::kClosed);
  }
  arm(now);
}

bool DtlsTransport::is_expected_peer() const {
  const std::vector<std::uint8_t> certificate = peer_certificate(association_->raw());
  if (certificate.empty()) return false;
  return std::any_of(settings_.fingerprints.begin(), settings_.fingerprints.end(),
                     [&certificate](const Fingerprint& fingerprint) {
                       return fingerprint == fingerprint_of(certificate, fingerprint.hash);
                     });
}

bool DtlsTransport::write(ByteView message) {
  return state_ == State::kConnected && association_->write(message);
}

void DtlsTransport::close() {
  if (state_ != State::kEnded) end(Ending::kClosed);
}

void DtlsTransport::end(Ending ending) {
  state_ = State::kEnded;
  next_ = MonoTime::never();
  if (association_ != nullptr) association_->close();
  owner_.on_dtls_ended(ending);
}

void DtlsTransport::arm(MonoTime now) {
  next_ = state_ == State::kHandshaking ? give_up_at_ : MonoTime::never();
  if (const auto left = association_->timeout()) next_ = std::min(next_, now + *left);
}

// Client's key, server's key, client's salt, server's salt (RFC 5764 section 4.2).
std::optional<SrtpKeys> DtlsTransport::srtp_keys() {
  if (state_ != State::kConnected) return std::nullopt;
  SSL* ssl = association_->raw();
  const SRTP_PROTECTION_PROFILE* chosen = SSL_get_selected_srtp_profile(ssl);
  if (chosen == nullptr) return std::nullopt;
  SrtpKeys keys;
  keys.profile = static_cast<SrtpProfile>(chosen->id);
  const auto [key, salt] = sizes_of(keys.profile);
  std::vector<std::uint8_t> material((key + salt) * 2);
  if (material.empty() ||
      SSL_export_keying_material(ssl, material.data(), material.size(), kKeyLabel.data(),
                                 kKeyLabel.size(), nullptr, 0, 0) != 1) {
    return std::nullopt;
  }
  const ByteView all(material);
  const auto join = [&all, key = key, salt = salt](std::size_t side) {
    std::vector<std::uint8_t> joined;
    for (const ByteView part :
         {all.subspan(side * key, key), all.subspan(2 * key + side * salt, salt)}) {
      joined.insert(joined.end(), part.begin(), part.end());
    }
    return joined;
  };
  const std::size_t our_side = settings_.role == DtlsRole::kClient ? 0 : 1;
  keys.ours = join(our_side);
  keys.theirs = join(1 - our_side);
  wipe(material);
  return keys;
}

}  // namespace turnpike::media
