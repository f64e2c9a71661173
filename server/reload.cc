#include "server/reload.h"

#include <array>
#include <utility>

namespace turnpike::server {
namespace {

// True: they differ, and what runs was put back.
using Keep = bool (*)(const Config& running, Config& wished);

template <auto Member>
bool keep(const Config& running, Config& wished) {
  if (running.*Member == wished.*Member) return false;
  wished.*Member = running.*Member;
  return true;
}

// A certificate may become another one, but TLS listeners do not come or go.
bool keep_certificate(const Config& running, Config& wished) {
  if (running.certificate_files.empty() == wished.certificate_files.empty()) return false;
  wished.certificate_files = running.certificate_files;
  wished.key_files = running.key_files;
  return true;
}

bool keep_external_ips(const Config& running, Config& wished) {
  const bool addresses = keep<&Config::external_ips>(running, wished);
  const bool finding = keep<&Config::find_external_ips>(running, wished);
  const bool servers = keep<&Config::stun_servers>(running, wished);
  return addresses || finding || servers;
}

template <auto Member>
bool keep_logging(const Config& running, Config& wished) {
  if (running.logging.*Member == wished.logging.*Member) return false;
  wished.logging.*Member = running.logging.*Member;
  return true;
}

struct Fixed {
  std::string_view option;
  Keep keep;
};

constexpr std::array kFixed = {
    Fixed{"listening-ip", keep<&Config::listening_ips>},
    Fixed{"listening-port", keep<&Config::listening_port>},
    Fixed{"tls-listening-port", keep<&Config::tls_listening_port>},
    Fixed{"dtls", keep<&Config::dtls>},
    Fixed{"no-udp", keep<&Config::udp>},
    Fixed{"no-tcp", keep<&Config::tcp>},
    Fixed{"no-tls", keep<&Config::tls>},
    Fixed{"http-port", keep<&Config::http_ports>},
    Fixed{"tcp-proxy-port", keep<&Config::proxy_ports>},
    Fixed{"rfc5780", keep<&Config::rfc5780>},
    Fixed{"alt-listening-port", keep<&Config::alt_listening_port>},
    Fixed{"public-host", keep<&Config::public_host>},
    Fixed{"relay-ip", keep<&Config::relay_ips>},
    Fixed{"external-ip", keep_external_ips},
    Fixed{"min-port", keep<&Config::min_port>},
    Fixed{"max-port", keep<&Config::max_port>},
    Fixed{"mobility", keep<&Config::mobility>},
    Fixed{"tcp-relay", keep<&Config::tcp_relay>},
    Fixed{"no-udp-gso", keep<&Config::segmentation>},
    Fixed{"realm", keep<&Config::realm>},
    Fixed{"auth-hook", keep<&Config::auth_hook>},
    Fixed{"auth-hook-ca", keep<&Config::auth_hook_ca>},
    Fixed{"auth-hook-token", keep<&Config::auth_hook_token>},
    Fixed{"auth-hook-timeout", keep<&Config::auth_hook_timeout>},
    Fixed{"auth-hook-cache", keep<&Config::auth_hook_cache>},
    Fixed{"auth-hook-stale", keep<&Config::auth_hook_stale>},
    Fixed{"open-rooms", keep<&Config::open_rooms>},
    Fixed{"lobby-size", keep<&Config::lobby_size>},
    Fixed{"no-echo", keep<&Config::echo>},
    Fixed{"echo-max", keep<&Config::echo_max>},
    Fixed{"echo-time", keep<&Config::echo_time>},
    Fixed{"cert", keep_certificate},
    Fixed{"static", keep<&Config::static_dir>},
    Fixed{"acme-webroot", keep<&Config::acme_webroot>},
    Fixed{"allowed-origin", keep<&Config::allowed_origins>},
    Fixed{"trusted-proxy", keep<&Config::trusted_proxies>},
    Fixed{"prometheus-port", keep<&Config::metrics_port>},
    Fixed{"prometheus-address", keep<&Config::metrics_ip>},
    Fixed{"prometheus-token", keep<&Config::metrics_token>},
    Fixed{"public-stats", keep<&Config::public_stats>},
    Fixed{"state-dir", keep<&Config::state_dir>},
    Fixed{"workers", keep<&Config::workers>},
    Fixed{"wake-rest", keep<&Config::wake_rest>},
    Fixed{"proc-user", keep<&Config::proc_user>},
    Fixed{"proc-group", keep<&Config::proc_group>},
    Fixed{"pidfile", keep<&Config::pid_file>},
    Fixed{"admin-socket", keep<&Config::admin_socket>},
    Fixed{"log-format", keep_logging<&log::Settings::format>},
    Fixed{"log-file", keep_logging<&log::Settings::file>},
    Fixed{"syslog", keep_logging<&log::Settings::syslog>},
    Fixed{"log-allocations", keep<&Config::log_allocations>},
    Fixed{"log-redact-addresses", keep_logging<&log::Settings::addresses>},
};

constexpr std::array<std::string_view, 35> kReloadable = {
    "allowed-peer-ip",
    "denied-peer-ip",
    "user-quota",
    "address-quota",
    "total-quota",
    "max-permissions",
    "max-channels",
    "max-bps",
    "bps-capacity",
    "max-allocate-lifetime",
    "permission-lifetime",
    "channel-lifetime",
    "unauthorized-ratelimit-rps",
    "rfc5766-channel-numbers",
    "alternate-server",
    "secure-stun",
    "stun-backward-compatibility",
    "no-software-attribute",
    "fingerprint",
    "allowed-tcp-peer-port",
    "static-auth-secret",
    "rest-api-separator",
    "stale-nonce",
    "strict-expiry",
    "user",
    "oauth",
    "oauth-key",
    "server-name",
    "turn-jwt",
    "api-key",
    "room-jwt",
    "room-key",
    "pkey",
    "drain-deadline",
    "log-level",
};

}  // namespace

std::span<const std::string_view> reloadable_settings() { return kReloadable; }

std::vector<std::string_view> keep_what_cannot_change(const Config& running, Config& wished) {
  std::vector<std::string_view> kept;
  for (const Fixed& fixed : kFixed) {
    if (fixed.keep(running, wished)) kept.push_back(fixed.option);
  }
  return kept;
}

Expected<Reloaded> plan_again(const Plan& running, const Origin& origin) {
  auto config = origin.read();
  if (!config) return unexpected(std::move(config.error()));
  auto kept = keep_what_cannot_change(running.config, *config);
  const auto generated = origin.generated(*config);
  if (!generated) return failure(generated.error().message);
  auto plan = make_plan(std::move(*config), origin.machine, *generated, &running);
  if (!plan) return failure(plan.error().message);
  // Whoever holds a session ticket of the context can go on using it.
  if (plan->certificates() && running.certificates() &&
      plan->certificates()->is_same_certificate(*running.certificates())) {
    plan->tls = running.tls;
    plan->dtls_context = running.dtls_context;
  }
  return Reloaded{std::move(*plan), std::move(kept)};
}

Renewal with_new_certificates(const Plan& running) {
  const auto files = certificate_pairs(running.config);
  Renewal renewal{running, {}};
  const auto renew = [&](std::shared_ptr<const net::TlsContext>& context,
                         net::TlsContext::Kind kind) {
    if (!context) return;
    auto renewed = net::TlsContext::renew(*context, files, kind);
    context = std::move(renewed.context);
    renewal.failures = std::move(renewed.failures);
  };
  renew(renewal.plan.dtls_context, net::TlsContext::Kind::kDtls);
  renew(renewal.plan.tls, net::TlsContext::Kind::kTls);
  return renewal;
}

}  // namespace turnpike::server
