#include "server/credentials_command.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"
#include "server/banner.h"
#include "signaling/http.h"
#include "signaling/ice_servers.h"
#include "signaling/mint_desk.h"

namespace turnpike::server {
namespace {

using signaling::MintedCredential;
using signaling::Minter;

constexpr std::string_view kTrickleIce =
    "https://webrtc.github.io/samples/src/content/peerconnection/trickle-ice/";

std::string ice_servers_text(const Minter& minter, const MintedCredential& credential) {
  return minter.ice_servers(credential).dump(2);
}

std::string in_json(const Minter& minter, const MintedCredential& credential) {
  const nlohmann::json object = {
      {"username", credential.username}, {"password", credential.password},
      {"ttl", credential.ttl.count()},   {"expires_at", credential.expires.since_epoch.count()},
      {"uris", minter.urls().turn},      {"iceServers", minter.ice_servers(credential)}};
  return object.dump(2) + "\n";
}

// How a back end asks the running server for the same. The key itself is not printed: what is
// pasted into a chat should end by itself.
std::string curl_line(const Plan& plan, const std::string& public_url,
                      const CredentialsWish& wish) {
  const std::string key =
      plan.api_key_file.empty() ? "YOUR-API-KEY" : fmt::format("$(cat {})", plan.api_key_file);
  const seconds ttl = std::min(wish.ttl, Minter::kMaxKeyTtl);
  return fmt::format("curl -H \"Authorization: Bearer {}\" '{}/api/ice?ttl={}&username={}'", key,
                     public_url, ttl.count(), signaling::http::percent_encode(wish.user_id));
}

std::string in_text(const Plan& plan, const signaling::Settings& settings, const Minter& minter,
                    const MintedCredential& credential, const CredentialsWish& wish) {
  std::string text = fmt::format(
      "username    {}\npassword    {}\nexpires     {:%Y-%m-%dT%H:%M:%SZ}, in {} seconds\n",
      credential.username, credential.password, fmt::gmtime(credential.expires.since_epoch.count()),
      credential.ttl.count());
  text += fmt::format("\niceServers: new RTCPeerConnection({{ iceServers: ... }})\n{}\n",
                      ice_servers_text(minter, credential));
  if (!settings.public_url.empty()) {
    text +=
        fmt::format("\nthe same from a back end\n{}\n", curl_line(plan, settings.public_url, wish));
  }
  text += fmt::format("\ntry it with {}\n", kTrickleIce);
  for (const std::string& url : minter.urls().turn) {
    text += fmt::format("  STUN or TURN URI  {}\n", url);
  }
  return text + fmt::format("  TURN username     {}\n  TURN password     {}\n", credential.username,
                            credential.password);
}

StartError usage(std::string message) { return {kExitUsage, std::move(message)}; }

}  // namespace

Expected<CredentialsWish> read_credentials_wish(const SubcommandLine& line) {
  CredentialsWish wish;
  wish.json = line.has("json");
  if (const auto name = line.text_of("user-id")) {
    if (!signaling::is_credential_name(*name)) {
      return failure("--user-id: expected plain text without control characters");
    }
    wish.user_id = std::string(*name);
  }
  if (const auto text = line.text_of("ttl")) {
    const auto number = parse_decimal(*text);
    const auto most = static_cast<std::uint64_t>(CredentialsWish::kMaxTtl.count());
    if (!number || *number == 0 || *number > most) {
      return failure(fmt::format("--ttl {}: expected a number of seconds, 1 to {}", *text, most));
    }
    wish.ttl = seconds(static_cast<seconds::rep>(*number));
  }
  return wish;
}

Expected<std::string, StartError> credentials_text(Config config, const Machine& machine,
                                                   const GeneratedSecrets& secrets,
                                                   const CredentialsWish& wish, WallTime now) {
  if (config.shared_secrets.empty() && secrets.shared_secret.empty()) {
    return tl::make_unexpected(
        usage("there is no shared secret to sign with: name the server's configuration (--config "
              "FILE, --static-auth-secret-file FILE) or its --state-dir, where it keeps the one it "
              "made at its first start; for a service ask as root (sudo)"));
  }
  // In a URL, 0 would be a port; which one the kernel has drawn only the server knows.
  if (config.listening_port == 0) {
    return tl::make_unexpected(
        usage("--listening-port 0: only the running server knows its port: ask its /api/ice"));
  }
  const auto plan = make_plan(std::move(config), machine, secrets);
  if (!plan) return tl::make_unexpected(plan.error());
  const BoundAddresses bound{plan->udp, plan->tcp, plan->dtls};
  const signaling::Settings settings = signaling_settings(*plan, bound);
  const Minter minter(settings.secret, settings.ice_urls);
  const auto credential = minter.mint(wish.user_id, minter.key_id(settings.secret), wish.ttl, now);
  return wish.json ? in_json(minter, credential)
                   : in_text(*plan, settings, minter, credential, wish);
}

}  // namespace turnpike::server
