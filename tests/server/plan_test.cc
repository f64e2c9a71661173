#include "server/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "server/banner.h"
#include "signaling/room_tokens.h"
#include "tests/server/scratch_dir.h"

namespace turnpike::server {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::string kGenerated = "generated-secret-generated-secret";

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }
Address at(std::string_view text) { return *Address::parse(text); }

// A server of a cloud: one private IPv4 address, one global IPv6 address.
Machine cloud_machine() {
  Machine machine;
  machine.interfaces = {{"lo", ip("127.0.0.1"), false},
                        {"lo", ip("::1"), false},
                        {"eth0", ip("10.0.0.4"), false},
                        {"eth0", ip("2001:db8::4"), false},
                        {"eth0", ip("fe80::4"), true}};
  machine.outward_v4 = ip("10.0.0.4");
  machine.outward_v6 = ip("2001:db8::4");
  machine.cpus = 4;
  return machine;
}

Machine offline_machine() {
  Machine machine;
  machine.interfaces = {{"lo", ip("127.0.0.1"), false}, {"lo", ip("::1"), false}};
  return machine;
}

Plan plan_of(Config config, const Machine& machine = cloud_machine()) {
  auto plan =
      make_plan(std::move(config), machine, {kGenerated, "generated-key", "/state/api-key"});
  EXPECT_TRUE(plan.has_value()) << plan.error().message;
  return std::move(*plan);
}

StartError refusal(Config config, const Machine& machine = cloud_machine()) {
  auto plan =
      make_plan(std::move(config), machine, {kGenerated, "generated-key", "/state/api-key"});
  EXPECT_FALSE(plan.has_value());
  return plan ? StartError{kExitOk, ""} : plan.error();
}

// As if every port had been bound as planned.
BoundAddresses bound_as_planned(const Plan& plan) { return {plan.udp, plan.tcp}; }

signaling::Settings settings_of(const Plan& plan) {
  return signaling_settings(plan, bound_as_planned(plan));
}

std::vector<std::string> tcp_texts(const Plan& plan) {
  std::vector<std::string> texts;
  for (const Plan::TcpPort& port : plan.tcp) texts.push_back(port.address.to_string());
  return texts;
}

struct CertificateFiles {
  ScratchDir dir;
  net::TlsContext::Files files{dir.path_of("cert.pem"), dir.path_of("key.pem")};

  explicit CertificateFiles(const std::vector<std::string>& names) {
    const auto written = net::write_self_signed(files, names);
    EXPECT_TRUE(written.has_value()) << written.error().message;
  }
  void use_in(Config& config) const {
    config.certificate_files.push_back(files.certificate);
    config.key_files.push_back(files.key);
  }
};

TEST(Listeners, WithoutAddressesUdpHasASocketForEachAndTcpOneForEachFamily) {
  const Plan plan = plan_of({});
  EXPECT_THAT(plan.udp, ElementsAre(at("127.0.0.1:3478"), at("10.0.0.4:3478"), at("[::1]:3478"),
                                    at("[2001:db8::4]:3478")));
  EXPECT_THAT(tcp_texts(plan), ElementsAre("0.0.0.0:3478", "[::]:3478"));
}

TEST(Listeners, AMissingIPv6IsANotice) {
  Machine machine = cloud_machine();
  machine.has_v6 = false;
  const Plan plan = plan_of({}, machine);
  EXPECT_THAT(plan.udp, ElementsAre(at("127.0.0.1:3478"), at("10.0.0.4:3478")));
  EXPECT_THAT(tcp_texts(plan), ElementsAre("0.0.0.0:3478"));
  EXPECT_THAT(plan.notices, Contains(HasSubstr("no IPv6")));
}

TEST(Listeners, GivenAddressesAreTheOnlyOnes) {
  Config config;
  config.listening_ips = {ip("127.0.0.1"), ip("127.0.0.2"), ip("127.0.0.1")};
  config.http_ports = {8080};
  const Plan plan = plan_of(std::move(config));
  EXPECT_THAT(plan.udp, ElementsAre(at("127.0.0.1:3478"), at("127.0.0.2:3478")));
  EXPECT_THAT(tcp_texts(plan),
              ElementsAre("127.0.0.1:3478", "127.0.0.1:8080", "127.0.0.2:3478", "127.0.0.2:8080"));
  EXPECT_EQ(plan.tcp[1].kind, PortKind::kHttp);
}

TEST(Listeners, TheWildcardOfOneFamilyMeansAllItsAddresses) {
  Config config;
  config.listening_ips = {ip("0.0.0.0")};
  const Plan plan = plan_of(std::move(config));
  EXPECT_THAT(plan.udp, ElementsAre(at("127.0.0.1:3478"), at("10.0.0.4:3478")));
  EXPECT_THAT(tcp_texts(plan), ElementsAre("0.0.0.0:3478"));
}

TEST(Listeners, TheTlsPortIsOpenedOnlyWithACertificate) {
  EXPECT_THAT(tcp_texts(plan_of({})), Not(Contains(HasSubstr(":5349"))));
  const CertificateFiles certificate({"turn.example.org"});
  Config config;
  certificate.use_in(config);
  const Plan plan = plan_of(config);
  EXPECT_THAT(tcp_texts(plan), Contains("0.0.0.0:5349"));
  EXPECT_EQ(plan.tcp[1].kind, PortKind::kTlsOnly);
  config.tls_listening_port = 0;
  EXPECT_THAT(tcp_texts(plan_of(config)), ElementsAre("0.0.0.0:3478", "[::]:3478"));
}

TEST(Listeners, DiscoveryHasTwoPortsOnTheFirstTwoAddressesOfAFamily) {
  Machine machine = cloud_machine();
  machine.interfaces.push_back({"eth1", ip("10.0.0.5"), false});
  Config config;
  config.rfc5780 = true;
  config.external_ips = {{ip("203.0.113.4"), ip("10.0.0.4")}};
  const Plan plan = plan_of(config, machine);
  EXPECT_THAT(plan.udp, ElementsAre(at("127.0.0.1:3478"), at("10.0.0.4:3478"), at("10.0.0.5:3478"),
                                    at("[::1]:3478"), at("[2001:db8::4]:3478"), at("10.0.0.4:3479"),
                                    at("10.0.0.5:3479")));
  for (std::uint16_t listener = 0; listener < plan.udp.size(); ++listener) {
    EXPECT_EQ(plan.turn->behavior.offered_on(listener),
              listener == 1 || listener == 2 || listener == 5 || listener == 6);
  }
  config.alt_listening_port = 4000;
  EXPECT_THAT(plan_of(config, machine).udp, Contains(at("10.0.0.5:4000")));
}

TEST(Listeners, DiscoveryWithOneAddressIsANotice) {
  Config config;
  config.rfc5780 = true;
  const Plan plan = plan_of(config);
  EXPECT_TRUE(plan.turn->behavior.empty());
  EXPECT_THAT(plan.udp, Not(Contains(at("10.0.0.4:3479"))));
  EXPECT_THAT(plan.notices, Contains(HasSubstr("--rfc5780 does nothing here")));
}

TEST(Listeners, ALoadBalancersPortIsOpenedBesideTheOthers) {
  Config config;
  config.listening_ips = {ip("127.0.0.1")};
  config.proxy_ports = {8443};
  const Plan plan = plan_of(std::move(config));
  EXPECT_THAT(tcp_texts(plan), ElementsAre("127.0.0.1:3478", "127.0.0.1:8443"));
  EXPECT_EQ(plan.tcp[1].kind, PortKind::kProxied);
}

TEST(Listeners, DtlsHasTheTlsPortOfEveryAddressWhenItIsWanted) {
  const CertificateFiles certificate({"turn.example.org"});
  Config config;
  certificate.use_in(config);
  EXPECT_THAT(plan_of(config).dtls, IsEmpty());
  EXPECT_EQ(plan_of(config).dtls_context, nullptr);
  config.dtls = true;
  config.listening_ips = {ip("192.0.2.1"), ip("2001:db8::4")};
  const Plan plan = plan_of(config);
  EXPECT_THAT(plan.dtls, ElementsAre(at("192.0.2.1:5349"), at("[2001:db8::4]:5349")));
  EXPECT_NE(plan.dtls_context, nullptr);
  config.tls_listening_port = 0;
  EXPECT_THAT(plan_of(config).dtls, IsEmpty());
  EXPECT_NE(plan_of(config).dtls_context, nullptr) << "the listening port speaks it all the same";
}

TEST(Listeners, AMachineWithoutAnyAddressIsRefused) {
  EXPECT_EQ(refusal({}, Machine{}).code, kExitCannotListen);
}

TEST(RelayAddresses, TheOnesThatRouteOutwardAndANoticeThatSaysSo) {
  const Plan plan = plan_of({});
  EXPECT_THAT(plan.relay_ips, ElementsAre(ip("10.0.0.4"), ip("2001:db8::4")));
  EXPECT_THAT(plan.notices, Contains(AllOf(HasSubstr("10.0.0.4"), HasSubstr("--relay-ip"))));
}

TEST(RelayAddresses, APrivateOneWithoutMappingAsksForExternalIp) {
  EXPECT_THAT(plan_of({}).notices, Contains(HasSubstr("--external-ip PUBLIC/10.0.0.4")));
  Config config;
  config.external_ips = {{ip("203.0.113.1"), std::nullopt}};
  EXPECT_THAT(plan_of(std::move(config)).notices, Not(Contains(HasSubstr("--external-ip"))));
}

TEST(RelayAddresses, OfflineTheLoopbackServesWithANotice) {
  const Plan plan = plan_of({}, offline_machine());
  EXPECT_THAT(plan.relay_ips, ElementsAre(ip("127.0.0.1"), ip("::1")));
  EXPECT_THAT(plan.notices, Contains(HasSubstr("on this machine")));
}

TEST(RelayAddresses, AFamilyWithoutARouteIsLeftOutWhileTheOtherHasOne) {
  Machine machine = cloud_machine();
  machine.interfaces = {
      {"lo", ip("127.0.0.1"), false}, {"lo", ip("::1"), false}, {"eth0", ip("10.0.0.4"), false}};
  machine.outward_v6.reset();
  EXPECT_THAT(plan_of({}, machine).relay_ips, ElementsAre(ip("10.0.0.4")));
}

TEST(RelayAddresses, WithoutADefaultRouteTheLanAddressIsBetterThanLoopback) {
  Machine machine = cloud_machine();
  machine.outward_v4.reset();
  machine.outward_v6.reset();
  EXPECT_THAT(plan_of({}, machine).relay_ips, ElementsAre(ip("10.0.0.4"), ip("2001:db8::4")));
}

TEST(RelayAddresses, AListeningAddressIsAlsoRelayedFromUnlessItIsLoopback) {
  Config config;
  config.listening_ips = {ip("198.51.100.7")};
  EXPECT_THAT(plan_of(config).relay_ips, ElementsAre(ip("198.51.100.7"), ip("2001:db8::4")));
  config.listening_ips = {ip("127.0.0.1")};
  EXPECT_THAT(plan_of(config).relay_ips, ElementsAre(ip("10.0.0.4"), ip("2001:db8::4")));
}

TEST(RelayAddresses, GivenOnesAreTheOnlyOnes) {
  Config config;
  config.relay_ips = {ip("127.0.0.1"), ip("127.0.0.1")};
  const Plan plan = plan_of(config);
  EXPECT_THAT(plan.relay_ips, ElementsAre(ip("127.0.0.1")));
  EXPECT_THAT(plan.notices, Not(Contains(HasSubstr("--relay-ip if"))));
  config.relay_ips = {ip("0.0.0.0")};
  EXPECT_EQ(refusal(config).code, kExitUsage);
}

TEST(ExternalIp, StandsForTheOnlyRelayAddressOfItsFamily) {
  Config config;
  config.external_ips = {{ip("203.0.113.1"), std::nullopt}};
  const Plan plan = plan_of(std::move(config));
  EXPECT_EQ(plan.turn->external.to_external(ip("10.0.0.4")), ip("203.0.113.1"));
  EXPECT_EQ(plan.turn->external.to_local(ip("203.0.113.1")), ip("10.0.0.4"));
  EXPECT_EQ(plan.public_ip, ip("203.0.113.1"));
  EXPECT_EQ(plan.local_ip, ip("10.0.0.4"));
}

TEST(ExternalIp, ItsPrivateHalfChoosesTheRelayAddress) {
  Machine machine = cloud_machine();
  machine.interfaces.push_back({"eth1", ip("10.0.0.5"), false});
  Config config;
  config.external_ips = {{ip("203.0.113.5"), ip("10.0.0.5")}};
  EXPECT_THAT(plan_of(std::move(config), machine).relay_ips,
              ElementsAre(ip("10.0.0.5"), ip("2001:db8::4")));
}

TEST(ExternalIp, OneThatIsAmbiguousOrPointsNowhereIsRefused) {
  Config config;
  config.relay_ips = {ip("10.0.0.4"), ip("10.0.0.5")};
  config.external_ips = {{ip("203.0.113.1"), std::nullopt}};
  EXPECT_THAT(refusal(config).message, HasSubstr("one of 10.0.0.4, 10.0.0.5"));
  config.external_ips = {{ip("203.0.113.1"), ip("10.0.0.6")}};
  EXPECT_THAT(refusal(config).message, HasSubstr("10.0.0.6 is not a relay address"));
  config.external_ips = {{ip("203.0.113.1"), ip("10.0.0.4")}, {ip("203.0.113.2"), ip("10.0.0.4")}};
  EXPECT_THAT(refusal(config).message, HasSubstr("1:1"));
  config.relay_ips = {ip("2001:db8::4")};
  config.external_ips = {{ip("203.0.113.1"), std::nullopt}};
  EXPECT_EQ(refusal(config).code, kExitUsage);
}

TEST(Peers, EveryAddressOfThisMachineIsOurOwn) {
  Config config;
  config.external_ips = {{ip("8.8.4.4"), std::nullopt}};
  config.listening_ips = {ip("9.9.9.9")};
  config.relay_ips = {ip("10.0.0.4")};
  config.denied_peers = {*IpRange::parse("1.1.1.1")};
  config.allowed_peers = {*IpRange::parse("10.9.0.0/16")};
  const Plan plan = plan_of(std::move(config));
  using Verdict = turn::PeerPolicy::Verdict;
  for (const char* own :
       {"8.8.4.4", "9.9.9.9", "10.0.0.4", "127.0.0.1", "2001:db8::4", "fe80::4"}) {
    EXPECT_EQ(plan.turn->peers.judge(ip(own)), Verdict::kOwn) << own;
  }
  EXPECT_EQ(plan.turn->peers.judge(ip("1.1.1.1")), Verdict::kDenied);
  EXPECT_EQ(plan.turn->peers.judge(ip("10.9.1.1")), Verdict::kAllowed);
  EXPECT_EQ(plan.turn->peers.judge(ip("10.8.1.1")), Verdict::kDenied);
}

TEST(Peers, OpeningTheLoopbackIsWarnedOf) {
  Config config;
  config.allowed_peers = {*IpRange::parse("0.0.0.0/0")};
  EXPECT_THAT(plan_of(std::move(config)).notices, Contains(HasSubstr("127.0.0.1")));
}

TEST(Secrets, TheGeneratedOneMintsAndIsAcceptedWhereNoneWasGiven) {
  const Plan plan = plan_of({});
  EXPECT_EQ(plan.signaling.secret, kGenerated);
  EXPECT_THAT(plan.signaling.api_keys, ElementsAre("generated-key"));
  EXPECT_EQ(plan.api_key_file, "/state/api-key");
  const WallTime now{seconds{1000}};
  EXPECT_EQ(plan.turn->credentials.keys_for("2000:ann", now).count, 1u);
}

TEST(Secrets, TheFirstGivenOneMintsAndAllAreAccepted) {
  Config config;
  config.shared_secrets = {"new", "old"};
  config.api_keys = {"mine"};
  auto plan = make_plan(config, cloud_machine(), {});
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->signaling.secret, "new");
  EXPECT_THAT(plan->signaling.api_keys, ElementsAre("mine"));
  EXPECT_EQ(plan->api_key_file, "");
  EXPECT_EQ(plan->turn->credentials.keys_for("2000:ann", WallTime{seconds{1000}}).count, 2u);
}

TEST(AuthHook, IsPlannedWithItsRealmAndOffersMd5Only) {
  Config config;
  config.realm = "north.example.org";
  config.users = {{"ann", "secret"}};
  config.shared_secrets = {"a secret"};
  EXPECT_FALSE(plan_of(config).auth_hook);
  EXPECT_TRUE(plan_of(config).turn->credentials.offers_algorithms());
  config.users.clear();
  config.auth_hook = HookUrl{false, "auth.example.org", 80, "/"};
  config.auth_hook_timeout = 7;
  const Plan plan = plan_of(config);
  ASSERT_TRUE(plan.auth_hook);
  EXPECT_EQ(plan.auth_hook->realm, "north.example.org");
  EXPECT_EQ(plan.auth_hook->timeout, seconds(7));
  EXPECT_FALSE(plan.turn->credentials.offers_algorithms());
  EXPECT_THAT(plan.notices, Contains(AllOf(HasSubstr("--auth-hook"), HasSubstr("use https"))));
  config.auth_hook->host = "127.0.0.1";
  EXPECT_THAT(plan_of(config).notices, Not(Contains(HasSubstr("use https"))));
}

TEST(AuthHook, HashedUsernamesAreNotAnnounced) {
  Config config;
  config.users = {{"ann", "secret"}};
  EXPECT_TRUE(plan_of(config).turn->credentials.announces_userhash());
  config.auth_hook = HookUrl{false, "127.0.0.1", 80, "/"};
  EXPECT_FALSE(plan_of(config).turn->credentials.announces_userhash());
}

TEST(AuthHook, AnUnreadableAuthorityIsSaidAtStart) {
  Config config;
  config.auth_hook = HookUrl{true, "auth.example.org", 443, "/"};
  config.auth_hook_ca = "/nonexistent/ca.pem";
  const StartError error = refusal(config);
  EXPECT_EQ(error.code, kExitCertificate);
  EXPECT_THAT(error.message, AllOf(HasSubstr("--auth-hook-ca"), HasSubstr("/nonexistent/ca.pem")));
}

TEST(Rooms, AreOpenUnlessThereIsAKey) {
  Config config;
  EXPECT_FALSE(plan_of(config).signaling.room_tokens->required());
  config.room_passwords = {"open sesame"};
  config.lobby_size = 7;
  config.trusted_proxies = {*IpRange::parse("10.0.0.0/8")};
  const Plan plan = plan_of(config);
  EXPECT_TRUE(plan.signaling.room_tokens->required());
  EXPECT_TRUE(plan.signaling.room_tokens->admits("open sesame", "demo", WallTime{}));
  EXPECT_FALSE(plan.signaling.room_tokens->admits("", "demo", WallTime{}));
  EXPECT_EQ(plan.signaling.lobby_size, 7u);
  EXPECT_EQ(plan.signaling.trusted_proxies, config.trusted_proxies);
}

TEST(Secrets, TheNonceKeyFollowsTheSecretAndDoesNotRepeatIt) {
  Config config;
  const Plan first = plan_of(config);
  EXPECT_EQ(plan_of(config).turn->nonce_key, first.turn->nonce_key);
  config.shared_secrets = {"other"};
  EXPECT_NE(plan_of(config).turn->nonce_key, first.turn->nonce_key);
}

TEST(Limits, AreSharedAmongTheWorkers) {
  Config config;
  config.unauthorized_replies_per_second = 1001;
  config.workers = 4;
  Plan plan = plan_of(config);
  EXPECT_EQ(plan.workers, 4u);
  EXPECT_EQ(plan.turn->unauthorized_replies_per_second, 251u);
  EXPECT_EQ(plan.turn->unauthorized_burst, 501u);
  config.unauthorized_replies_per_second = 0;
  EXPECT_EQ(plan_of(config).turn->unauthorized_replies_per_second, 0u);
}

TEST(Limits, WorkersAreTheCpusUnlessGiven) {
  Machine machine = cloud_machine();
  EXPECT_EQ(plan_of({}, machine).workers, 4u);
  machine.cpus = 1000;
  EXPECT_EQ(plan_of({}, machine).workers, kMaxWorkers);
  machine.cpus = 0;
  EXPECT_EQ(plan_of({}, machine).workers, 1u);
}

TEST(Limits, ChannelNumbersFollowTheOption) {
  Config config;
  EXPECT_EQ(plan_of(config).turn->last_channel_number, 0x4FFF);
  config.rfc5766_channel_numbers = true;
  EXPECT_EQ(plan_of(config).turn->last_channel_number, 0x7FFF);
}

TEST(Realm, IsTheGivenOneElseThePublicHostElseOurName) {
  Config config;
  EXPECT_EQ(plan_of(config).turn->credentials.realm(), "turnpike");
  config.public_host = "turn.example.org";
  EXPECT_EQ(plan_of(config).turn->credentials.realm(), "turn.example.org");
  config.realm = "example.org";
  EXPECT_EQ(plan_of(config).turn->credentials.realm(), "example.org");
}

TEST(Urls, NameTheOutwardAddressWithoutAnythingBetter) {
  const auto settings = settings_of(plan_of({}));
  EXPECT_THAT(settings.ice_urls.stun, ElementsAre("stun:10.0.0.4:3478"));
  EXPECT_THAT(settings.ice_urls.turn,
              ElementsAre("turn:10.0.0.4:3478?transport=udp", "turn:10.0.0.4:3478?transport=tcp"));
  EXPECT_EQ(settings.public_url, "http://10.0.0.4:3478");
}

TEST(Urls, NameTheExternalAddressBehindANat) {
  Config config;
  config.external_ips = {{ip("203.0.113.1"), std::nullopt}};
  EXPECT_THAT(settings_of(plan_of(config)).ice_urls.stun, ElementsAre("stun:203.0.113.1:3478"));
}

TEST(Urls, NameTheListeningAddressWhenItIsTheOnlyOne) {
  Config config;
  config.listening_ips = {ip("127.0.0.1")};
  EXPECT_THAT(settings_of(plan_of(config)).ice_urls.stun, ElementsAre("stun:127.0.0.1:3478"));
  config.listening_ips = {ip("127.0.0.1"), ip("198.51.100.7")};
  EXPECT_THAT(settings_of(plan_of(config)).ice_urls.stun, ElementsAre("stun:198.51.100.7:3478"));
}

TEST(Urls, PutIPv6AddressesInBrackets) {
  Config config;
  config.listening_ips = {ip("2001:db8::4")};
  const auto settings = settings_of(plan_of(config));
  EXPECT_THAT(settings.ice_urls.stun, ElementsAre("stun:[2001:db8::4]:3478"));
  EXPECT_EQ(settings.public_url, "http://[2001:db8::4]:3478");
  config.public_host = "2001:db8::99";
  EXPECT_THAT(settings_of(plan_of(config)).ice_urls.stun, ElementsAre("stun:[2001:db8::99]:3478"));
}

TEST(Urls, HaveTlsWithACertificateForThePublicHost) {
  const CertificateFiles certificate({"turn.example.org"});
  Config config;
  certificate.use_in(config);
  config.public_host = "turn.example.org";
  const auto settings = settings_of(plan_of(config));
  EXPECT_THAT(settings.ice_urls.turn, ElementsAre("turn:turn.example.org:3478?transport=udp",
                                                  "turn:turn.example.org:3478?transport=tcp",
                                                  "turns:turn.example.org:5349?transport=tcp"));
  EXPECT_EQ(settings.public_url, "https://turn.example.org:5349");
  config.tls_listening_port = 443;
  EXPECT_EQ(settings_of(plan_of(config)).public_url, "https://turn.example.org");
  config.tls_listening_port = 0;
  EXPECT_EQ(settings_of(plan_of(config)).public_url, "https://turn.example.org:3478");
  EXPECT_THAT(settings_of(plan_of(config)).ice_urls.turn,
              Contains("turns:turn.example.org:3478?transport=tcp"));
}

TEST(Urls, HaveNoTlsForAnotherNameAndSayWhy) {
  const CertificateFiles certificate({"turn.example.org"});
  Config config;
  certificate.use_in(config);
  config.public_host = "other.example.org";
  const Plan plan = plan_of(config);
  EXPECT_THAT(settings_of(plan).ice_urls.turn, Not(Contains(HasSubstr("turns:"))));
  EXPECT_EQ(settings_of(plan).public_url, "http://other.example.org:3478");
  EXPECT_THAT(plan.notices,
              Contains(AllOf(HasSubstr("turn.example.org"), HasSubstr("other.example.org"),
                             HasSubstr("--public-host"))));
}

TEST(Urls, NeverOfferTurnsForAnAddress) {
  const CertificateFiles certificate({"10.0.0.4", "turn.example.org"});
  Config config;
  certificate.use_in(config);
  const Plan plan = plan_of(config);
  EXPECT_THAT(settings_of(plan).ice_urls.turn, Not(Contains(HasSubstr("turns:"))));
  EXPECT_THAT(plan.notices, Contains(HasSubstr("--public-host")));
}

TEST(Urls, NameThePortsThatTheKernelDrew) {
  Config config;
  config.listening_ips = {ip("127.0.0.1"), ip("127.0.0.2")};
  config.listening_port = 0;
  const Plan plan = plan_of(config);
  const BoundAddresses bound{{at("127.0.0.2:4002"), at("127.0.0.1:4001")},
                             {{at("127.0.0.2:5002"), PortKind::kAny},
                              {at("127.0.0.1:6001"), PortKind::kHttp},
                              {at("127.0.0.1:5001"), PortKind::kAny}}};
  const auto settings = signaling_settings(plan, bound);
  EXPECT_THAT(settings.ice_urls.stun, ElementsAre("stun:127.0.0.1:4001"));
  EXPECT_THAT(settings.ice_urls.turn, ElementsAre("turn:127.0.0.1:4001?transport=udp",
                                                  "turn:127.0.0.1:5001?transport=tcp"));
  EXPECT_EQ(settings.public_url, "http://127.0.0.1:5001");
}

TEST(Certificate, OneThatCannotBeReadHasItsOwnExitCode) {
  Config config;
  config.certificate_files = {"/nowhere/cert.pem"};
  config.key_files = {"/nowhere/key.pem"};
  const StartError error = refusal(config);
  EXPECT_EQ(error.code, kExitCertificate);
  EXPECT_THAT(error.message, HasSubstr("/nowhere/cert.pem"));
}

TEST(Certificate, OfSeveralTheOneForThePublicHostCounts) {
  const CertificateFiles first({"other.example"}), second({"turn.example.org"});
  Config config;
  first.use_in(config);
  second.use_in(config);
  config.public_host = "turn.example.org";
  EXPECT_TRUE(certificate_matches(plan_of(config)));
  config.public_host = "third.example";
  EXPECT_THAT(plan_of(config).notices,
              Contains(HasSubstr("is for other.example, turn.example.org, not for third.example")));
}

TEST(Certificate, OneThatNobodyCanAskForIsNoticed) {
  const CertificateFiles first({"a.example"}), second({"a.example"}), third({"b.example"});
  Config config;
  first.use_in(config);
  second.use_in(config);
  third.use_in(config);
  const Plan plan = plan_of(config);
  EXPECT_THAT(plan.notices, Contains(HasSubstr("has the name a.example of a certificate before")));
  EXPECT_THAT(plan.notices, Contains("no client gets the certificate " + second.files.certificate));
  EXPECT_THAT(plan.notices, Not(Contains(HasSubstr(third.files.certificate))));
}

TEST(Challenges, APortThatNoAuthorityAsksIsNoticed) {
  Config config;
  config.acme_webroot = "/var/www/acme";
  EXPECT_TRUE(plan_of(config).signaling.serve_challenges);
  EXPECT_THAT(plan_of(config).notices, Contains(HasSubstr("--http-port 80")));
  config.http_ports = {80};
  EXPECT_THAT(plan_of(config).notices, Not(Contains(HasSubstr("--acme-webroot"))));
  EXPECT_FALSE(plan_of({}).signaling.serve_challenges);
}

TEST(Certificate, WithoutOneANoticeSaysWhatIsMissing) {
  EXPECT_THAT(plan_of({}).notices, Contains(HasSubstr("--cert")));
}

TEST(Banner, HasWhatAnOperatorNeeds) {
  Config config;
  config.http_ports = {8080};
  config.external_ips = {{ip("203.0.113.1"), std::nullopt}};
  const Plan plan = plan_of(std::move(config));
  const std::string text =
      banner_text(plan, bound_as_planned(plan),
                  {"[{\"urls\":[]}]", "http://203.0.113.1:3478/call/quiet-otter-42#k=abc",
                   "http://203.0.113.1:3478", "http://203.0.113.1:3478/call/echo#k=abc"},
                  BannerFor::kProgram);
  EXPECT_THAT(text, HasSubstr("\necho room   http://203.0.113.1:3478/call/echo#k=abc\n"));
  EXPECT_THAT(text, HasSubstr("UDP         127.0.0.1:3478  10.0.0.4:3478"));
  EXPECT_THAT(text, HasSubstr("TCP         0.0.0.0:3478  [::]:3478"));
  EXPECT_THAT(text, HasSubstr("HTTP        0.0.0.0:8080"));
  EXPECT_THAT(text, HasSubstr("10.0.0.4 (seen as 203.0.113.1)"));
  EXPECT_THAT(text, HasSubstr("\n[{\"urls\":[]}]\n"));
  EXPECT_THAT(text, HasSubstr("\ncall room   http://203.0.113.1:3478/call/quiet-otter-42#k=abc\n"));
  EXPECT_THAT(text, HasSubstr("\nstart page  http://203.0.113.1:3478/#k=abc\n"));
  EXPECT_THAT(text, HasSubstr("/state/api-key"));
  EXPECT_THAT(text, Not(HasSubstr("WARNING")));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, Not(HasSubstr("TLS")));
}

TEST(Banner, LetsNobodyInWhoReadsTheJournal) {
  const Plan plan = plan_of({});
  const std::string text = banner_text(
      plan, bound_as_planned(plan),
      {"[{\"credential\":\"c\"}]", "http://h/call/x#k=abc", "http://h", "http://h/call/echo#k=abc"},
      BannerFor::kJournal);
  EXPECT_THAT(
      text, AllOf(HasSubstr("\nUDP         127.0.0.1:3478"), HasSubstr("\nstart page  http://h/\n"),
                  HasSubstr("\ncredentials turnpike ctl credentials\n")));
  EXPECT_THAT(text, AllOf(Not(HasSubstr("credential\"")), Not(HasSubstr("#k="))));
}

TEST(Banner, SaysWhatRoomsAskOfThoseWhoEnter) {
  const auto rooms = [](const Config& config) {
    const Plan plan = plan_of(config);
    return banner_text(plan, bound_as_planned(plan), {"[]", "http://h/call/x", "http://h"},
                       BannerFor::kProgram);
  };
  Config config;
  EXPECT_THAT(rooms(config), HasSubstr("\nrooms       open to everyone"));
  EXPECT_THAT(rooms(config), Not(HasSubstr("echo room")));  // for there is no echo
  config.room_passwords = {"hushhush"};
  EXPECT_THAT(rooms(config), HasSubstr("\nrooms       for holders of the room password\n"));
  config.room_jwt_keys = {std::string(32, 'q')};
  EXPECT_THAT(rooms(config),
              HasSubstr("\nrooms       for holders of a token (JWT) or of the room password\n"));
  EXPECT_THAT(rooms(config), AllOf(Not(HasSubstr("hushhush")), Not(HasSubstr("qqq"))));
  config.room_passwords.clear();
  EXPECT_THAT(rooms(config), HasSubstr("\nrooms       for holders of a token (JWT)\n"));
}

TEST(Banner, OpenRoomsAreLoud) {
  Config config;
  config.open_rooms = true;
  const Plan plan = plan_of(std::move(config));
  EXPECT_THAT(banner_text(plan, bound_as_planned(plan), {"[]", "http://h/call/x", "http://h"},
                          BannerFor::kProgram),
              HasSubstr("WARNING: --open-rooms"));
}

TEST(Banner, ShowsNoSecret) {
  Config config;
  config.shared_secrets = {"hushhush"};
  config.api_keys = {"open-sesame"};
  const Plan plan = plan_of(std::move(config));
  const std::string text = banner_text(plan, bound_as_planned(plan),
                                       {"[]", "http://h/call/x", "http://h"}, BannerFor::kTerminal);
  EXPECT_THAT(text, AllOf(Not(HasSubstr("hushhush")), Not(HasSubstr("open-sesame"))));
}

TEST(Banner, RoomNamesAreReadable) {
  SeededRandom random(7);
  const std::string name = room_name(random);
  EXPECT_THAT(name, ::testing::MatchesRegex("[a-z]+-[a-z]+-[0-9][0-9]"));
  EXPECT_NE(room_name(random), name);
}

}  // namespace
}  // namespace turnpike::server
