// What of another configuration takes effect while the server runs.
#include "server/reload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "net/tls_context.h"
#include "server/option_table.h"
#include "tests/server/scratch_dir.h"

namespace turnpike::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }

Machine machine() {
  Machine machine;
  machine.interfaces = {{"lo", ip("127.0.0.1"), false}, {"eth0", ip("10.0.0.4"), false}};
  machine.outward_v4 = ip("10.0.0.4");
  machine.has_v6 = false;
  machine.cpus = 2;
  return machine;
}

// A server that runs with `before` and is asked to take `after`.
struct Running {
  explicit Running(const Config& before, Machine on = machine()) {
    origin.machine = std::move(on);
    origin.read = [this]() -> Expected<Config> { return after; };
    origin.generated = [](const Config&) -> Expected<GeneratedSecrets, StartError> {
      return GeneratedSecrets{"generated-secret", "generated-key", "/state/api-key"};
    };
    auto made = make_plan(before, origin.machine, *origin.generated(before));
    EXPECT_TRUE(made) << made.error().message;
    plan = std::move(*made);
    after = before;
  }
  Reloaded reload() {
    auto again = plan_again(plan, origin);
    EXPECT_TRUE(again) << again.error().message;
    return std::move(*again);
  }
  std::string refusal() {
    const auto again = plan_again(plan, origin);
    return again ? "" : again.error().message;
  }
  Origin origin;
  Config after;
  Plan plan;
};

TEST(Reload, EveryOptionTakesEffectOrNeedsARestart) {
  // A Config in which nothing is as in another one, as far as that cannot change.
  Config other;
  other.listening_ips = other.relay_ips = {ip("10.0.0.4")};
  other.listening_port = other.tls_listening_port = other.alt_listening_port = other.min_port =
      other.max_port = 7;
  other.udp = other.tcp = other.tls = other.echo = other.segmentation = false;
  other.dtls = other.rfc5780 = other.mobility = other.tcp_relay = other.open_rooms =
      other.public_stats = true;
  other.http_ports = other.proxy_ports = {7};
  other.find_external_ips = true;
  other.realm = other.public_host = other.auth_hook_ca = other.auth_hook_token = other.static_dir =
      other.acme_webroot = other.state_dir = other.proc_user = other.proc_group = other.pid_file =
          other.admin_socket = other.metrics_token = "other";
  other.certificate_files = {"other"};
  other.auth_hook = HookUrl{};
  other.auth_hook_timeout = other.auth_hook_cache = other.auth_hook_stale = other.lobby_size =
      other.echo_max = other.echo_time = other.workers = other.wake_rest = 7;
  other.allowed_origins = {"https://example.org"};
  other.trusted_proxies = {*IpRange::parse("10.0.0.0/8")};
  other.metrics_port = 7;
  other.metrics_ip = ip("10.0.0.4");
  other.logging = {log::Level::kDebug, log::Format::kJson, log::Addresses::kCut, "other", true};
  other.log_allocations = true;
  const std::vector<std::string_view> kept = keep_what_cannot_change(Config{}, other);
  const auto reloadable = reloadable_settings();
  const std::vector<std::string_view> ask_for_something = {"config", "help", "version",
                                                           "check-config", "print-config"};
  for (const Option& option : option_table()) {
    const auto has = [&](const auto& list) {
      return std::count(list.begin(), list.end(), option.setting);
    };
    EXPECT_EQ(has(kept) + has(reloadable) + has(ask_for_something), 1)
        << "--" << option.name << ": say in server/reload.cc what a reload does with it";
  }
}

TEST(Reload, UsersSecretsLimitsAndPeersAreTheNewOnes) {
  Config before;
  before.users = {{"alice", "secret"}};
  before.shared_secrets = {"old"};
  Running running(before);
  running.after.users = {{"bob", "hush"}};
  running.after.shared_secrets = {"new", "old"};
  running.after.quota.per_user = 3;
  running.after.denied_peers = {*IpRange::parse("8.0.0.0/8")};
  const Reloaded again = running.reload();
  EXPECT_THAT(again.need_restart, IsEmpty());
  EXPECT_EQ(again.plan.config.quota.per_user, 3u);
  EXPECT_EQ(again.plan.turn->peers.judge(ip("8.8.8.8")), turn::PeerPolicy::Verdict::kDenied);
  EXPECT_EQ(again.plan.signaling.secret, "new");
  EXPECT_THAT(again.plan.signaling.older_secrets, ElementsAre("old"));
}

TEST(Reload, NoncesAndTicketsGoOnBeingGood) {
  Config before;
  before.shared_secrets = {"old"};
  Running running(before);
  running.after.shared_secrets = {"new"};
  const Reloaded again = running.reload();
  EXPECT_EQ(again.plan.turn->nonce_key, running.plan.turn->nonce_key);
  EXPECT_EQ(again.plan.turn->ticket_key, running.plan.turn->ticket_key);
}

TEST(Reload, WhatCannotChangeIsNamedAndStays) {
  Running running(Config{});
  running.after.listening_port = 4000;
  running.after.workers = 7;
  running.after.max_bps = 1000;
  const Reloaded again = running.reload();
  EXPECT_THAT(again.need_restart, ElementsAre("listening-port", "workers"));
  EXPECT_EQ(again.plan.config.listening_port, 3478);
  EXPECT_EQ(again.plan.turn->max_bps, 1000u);
}

TEST(Reload, ExternalAddressesAreNotAskedForAgain) {
  int asked = 0;
  Machine cloud = machine();
  cloud.ask_stun_server = [&asked](const StunServer&, const IpAddress& from) -> Expected<SeenFrom> {
    ++asked;
    SeenFrom seen;
    seen.local = {from, 50000};
    seen.mapped = {ip("203.0.113.10"), 4000};
    return seen;
  };
  Config before;
  before.find_external_ips = true;
  before.stun_servers = {{"stun.example.net", 3478}};
  Running running(before, cloud);
  EXPECT_EQ(asked, 1);
  const Reloaded again = running.reload();
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(again.plan.turn->external.to_external(ip("10.0.0.4")), ip("203.0.113.10"));
  EXPECT_EQ(again.plan.public_ip, ip("203.0.113.10"));
  EXPECT_EQ(again.plan.turn->peers.judge(ip("203.0.113.10")), turn::PeerPolicy::Verdict::kOwn);
}

TEST(Reload, WhatCannotBeReadIsRefusedWithItsReason) {
  Running running(Config{});
  running.origin.read = []() -> Expected<Config> { return failure("\"realm\": expected text"); };
  EXPECT_EQ(running.refusal(), "\"realm\": expected text");
}

TEST(Reload, TlsDoesNotComeOrGo) {
  Running running(Config{});
  running.after.certificate_files = {"/nowhere/cert.pem"};
  running.after.key_files = {"/nowhere/key.pem"};
  EXPECT_THAT(running.reload().need_restart, ElementsAre("cert"));
}

struct Certified {
  Certified() {
    write();
    config.certificate_files = {files.certificate};
    config.key_files = {files.key};
    config.dtls = true;
  }
  void write() { EXPECT_TRUE(net::write_self_signed(files, {"localhost"})); }
  ScratchDir folder;
  net::TlsContext::Files files{folder.path_of("cert.pem"), folder.path_of("key.pem")};
  Config config;
};

TEST(Reload, ACertificateIsTakenOnlyWhenItIsAnotherOne) {
  Certified certified;
  Running running(certified.config);
  EXPECT_EQ(running.reload().plan.tls, running.plan.tls);
  certified.write();
  const Reloaded again = running.reload();
  EXPECT_NE(again.plan.tls, running.plan.tls);
  EXPECT_NE(again.plan.dtls_context, running.plan.dtls_context);
  EXPECT_FALSE(again.plan.tls->is_same_certificate(*running.plan.tls));
}

TEST(Reload, ACertificateWithoutItsKeyIsRefused) {
  Certified certified;
  Running running(certified.config);
  const std::string key = certified.files.key;
  certified.files.key = certified.folder.path_of("another.pem");
  certified.write();
  EXPECT_THAT(running.refusal(), HasSubstr("does not belong to the certificate"));
  const Renewal renewed = with_new_certificates(running.plan);
  EXPECT_THAT(renewed.failures, ElementsAre(HasSubstr(key)));
  EXPECT_TRUE(renewed.plan.tls->is_same_certificate(*running.plan.tls));
}

TEST(Reload, TheCertificateAloneIsTakenForTlsAndDtls) {
  Certified certified;
  Running running(certified.config);
  certified.write();
  const Renewal renewed = with_new_certificates(running.plan);
  EXPECT_THAT(renewed.failures, IsEmpty());
  EXPECT_FALSE(renewed.plan.tls->is_same_certificate(*running.plan.tls));
  EXPECT_FALSE(renewed.plan.dtls_context->is_same_certificate(*running.plan.dtls_context));
  EXPECT_EQ(renewed.plan.turn, running.plan.turn);
}

TEST(Reload, OneOfSeveralCertificatesIsRenewedWhereAnotherCannotBe) {
  Certified first, second;
  Config config = first.config;
  config.certificate_files.push_back(second.files.certificate);
  config.key_files.push_back(second.files.key);
  Running running(config);
  std::filesystem::remove(first.files.certificate);
  second.write();
  const Renewal renewed = with_new_certificates(running.plan);
  EXPECT_THAT(renewed.failures, ElementsAre(HasSubstr(first.files.certificate)));
  for (const auto& [now, before] :
       {std::pair(renewed.plan.tls, running.plan.tls),
        std::pair(renewed.plan.dtls_context, running.plan.dtls_context)}) {
    EXPECT_TRUE(now->certificates()[0].is_same(before->certificates()[0]));
    EXPECT_FALSE(now->certificates()[1].is_same(before->certificates()[1]));
  }
}

TEST(Reload, WithoutTlsTheCertificateOfDtlsIsRenewed) {
  Certified certified;
  certified.config.tls = false;
  Running running(certified.config);
  ASSERT_EQ(running.plan.tls, nullptr);
  certified.write();
  const Renewal renewed = with_new_certificates(running.plan);
  EXPECT_FALSE(renewed.plan.dtls_context->is_same_certificate(*running.plan.dtls_context));
}

}  // namespace
}  // namespace turnpike::server
