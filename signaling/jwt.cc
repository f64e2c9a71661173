#include "signaling/jwt.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/digest.h"
#include "base/signature.h"
#include "base/text.h"
#include "signaling/json_text.h"

namespace turnpike::signaling {

using nlohmann::json;

namespace {

// RFC 7518 section 3.2: at least the size of the hash, or the key is the weaker part.
constexpr std::size_t kLeastSecret = 32;
// NumericDate (RFC 7519 section 2) beyond which a token counts as everlasting: the year 5138.
constexpr double kMaxDate = 1e11;

constexpr std::string_view kPemMark = "-----BEGIN";

// RFC 7519 section 2: seconds since 1970, perhaps with a fraction. nullopt: no such number.
std::optional<WallTime> numeric_date(const json& value) {
  if (!value.is_number()) return std::nullopt;
  const double date = value.get<double>();
  if (!std::isfinite(date)) return std::nullopt;
  const double whole = std::floor(std::clamp(date, 0.0, kMaxDate));
  return WallTime{seconds(static_cast<std::int64_t>(whole))};
}

}  // namespace

std::optional<json> strict_object(std::string_view text) {
  if (!is_valid_utf8(text) || !is_json(text)) return std::nullopt;
  bool twice = false;
  std::set<std::string> names;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::key && depth == 1) {
      twice = twice || !names.insert(parsed.get<std::string>()).second;
    }
    return true;
  };
  json object = json::parse(text, watch, false);
  if (twice || !object.is_object()) return std::nullopt;
  return object;
}

std::optional<Jwt> take_apart_unsigned(std::string_view signed_text) {
  const auto parts = split(signed_text, '.');
  if (parts.size() != 2) return std::nullopt;
  const auto header = base64url_decode(parts[0]);
  auto payload = base64url_decode(parts[1]);
  if (!header || !payload) return std::nullopt;
  const auto fields = strict_object(*header);
  if (!fields) return std::nullopt;
  // RFC 7515 section 4.1.11: an extension that must be understood, and none is.
  if (fields->contains("crit")) return std::nullopt;
  const auto algorithm = fields->find("alg");
  if (algorithm == fields->end() || !algorithm->is_string()) return std::nullopt;
  return Jwt{signed_text, algorithm->get<std::string>(), std::move(*payload), {}};
}

std::optional<Jwt> take_apart(std::string_view token) {
  const std::size_t dot = token.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  auto signature = base64url_decode(token.substr(dot + 1));
  if (!signature) return std::nullopt;
  auto jwt = take_apart_unsigned(token.substr(0, dot));
  if (jwt) jwt->signature = std::move(*signature);
  return jwt;
}

Expected<JwtClaims, JwtFault> read_claims(const json& claims, WallTime now) {
  JwtClaims read;
  if (const auto date = claims.find("exp"); date != claims.end()) {
    read.expires = numeric_date(*date);
    if (!read.expires) return unexpected(JwtFault::kMalformed);
    if (*read.expires + kJwtLeeway <= now) return unexpected(JwtFault::kExpired);
  }
  if (const auto date = claims.find("nbf"); date != claims.end()) {
    const auto begins = numeric_date(*date);
    if (!begins) return unexpected(JwtFault::kMalformed);
    if (now + kJwtLeeway < *begins) return unexpected(JwtFault::kNotYet);
  }
  if (const auto subject = claims.find("sub"); subject != claims.end()) {
    if (!subject->is_string()) return unexpected(JwtFault::kMalformed);
    read.subject = *subject;
  }
  return read;
}

Expected<JwtClaims, JwtFault> parse_claims(std::string_view payload, WallTime now) {
  const auto claims = strict_object(payload);
  if (!claims) return unexpected(JwtFault::kMalformed);
  return read_claims(*claims, now);
}

struct JwtKeys::Keys {
  struct Secret {
    std::string text;
    explicit Secret(std::string_view secret) : text(secret) {}
    Secret(Secret&&) = default;
    Secret& operator=(Secret&&) = default;
    ~Secret() { wipe(text); }
  };
  std::vector<Secret> secrets;        // HS256
  std::vector<Es256Key> public_keys;  // ES256
};

JwtKeys::JwtKeys() : keys_(std::make_unique<const Keys>()) {}
JwtKeys::~JwtKeys() = default;
JwtKeys::JwtKeys(JwtKeys&&) noexcept = default;
JwtKeys& JwtKeys::operator=(JwtKeys&&) noexcept = default;

bool JwtKeys::is_pem(std::string_view key) { return key.find(kPemMark) != std::string_view::npos; }

Expected<JwtKeys, std::string> JwtKeys::make(const std::vector<std::string>& keys) {
  auto made = std::make_unique<Keys>();
  for (const std::string& text : keys) {
    if (is_pem(text)) {
      auto key = Es256Key::from_pem(text);
      if (!key) {
        return unexpected(
            std::string("expected a public key on the curve P-256 (openssl ec "
                        "-pubout writes it: -----BEGIN PUBLIC KEY-----)"));
      }
      made->public_keys.push_back(std::move(*key));
      continue;
    }
    if (text.size() < kLeastSecret) {
      return unexpected(
          std::string("expected a secret of at least 32 bytes, as HS256 demands (openssl rand "
                      "-hex 32 makes a good one), or a public key in PEM"));
    }
    made->secrets.emplace_back(text);
  }
  JwtKeys result;
  result.keys_ = std::move(made);
  return result;
}

bool JwtKeys::empty() const { return keys_->secrets.empty() && keys_->public_keys.empty(); }

bool JwtKeys::has_signed(const Jwt& jwt) const {
  if (jwt.algorithm == "HS256") {
    return std::any_of(
        keys_->secrets.begin(), keys_->secrets.end(), [&jwt](const Keys::Secret& secret) {
          const auto mac = hmac_sha256(as_bytes(secret.text), {as_bytes(jwt.signed_text)});
          return equal_in_constant_time(mac, as_bytes(jwt.signature));
        });
  }
  if (jwt.algorithm != "ES256") return false;
  return std::any_of(keys_->public_keys.begin(), keys_->public_keys.end(),
                     [&jwt](const Es256Key& key) {
                       return key.verifies(jwt.signed_text, as_bytes(jwt.signature));
                     });
}

std::vector<std::string> JwtKeys::signatures_of(std::string_view signed_text) const {
  std::vector<std::string> signatures;
  for (const Keys::Secret& secret : keys_->secrets) {
    signatures.push_back(
        base64url_encode(hmac_sha256(as_bytes(secret.text), {as_bytes(signed_text)})));
  }
  return signatures;
}

}  // namespace turnpike::signaling
