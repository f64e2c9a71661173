#include "server/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "base/text.h"
#include "server/option_table.h"
#include "tests/server/scratch_dir.h"

namespace turnpike::server {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// A writable argument vector and environment, as the kernel hands them over.
class Texts {
 public:
  explicit Texts(std::vector<std::string> texts) {
    for (const std::string& text : texts) {
      storage_.push_back(std::make_unique<char[]>(text.size() + 1));
      std::memcpy(storage_.back().get(), text.c_str(), text.size() + 1);
      pointers_.push_back(storage_.back().get());
    }
    pointers_.push_back(nullptr);
  }
  char** raw() { return pointers_.data(); }
  int count() const { return static_cast<int>(pointers_.size()) - 1; }
  std::string text(std::size_t i) const { return pointers_[i]; }

 private:
  std::vector<std::unique_ptr<char[]>> storage_;
  std::vector<char*> pointers_;
};

constexpr const char* kPublicKey =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
    "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
    "-----END PUBLIC KEY-----\n";

Expected<Invocation> read(std::vector<std::string> arguments,
                          std::vector<std::string> environment = {}) {
  arguments.insert(arguments.begin(), "turnpike");
  Texts argv(std::move(arguments));
  Texts environ(std::move(environment));
  return read_options(argv.count(), argv.raw(), environ.raw());
}

Config config_of(std::vector<std::string> arguments, std::vector<std::string> environment = {}) {
  auto invocation = read(std::move(arguments), std::move(environment));
  EXPECT_TRUE(invocation.has_value()) << invocation.error().message;
  return invocation ? std::move(invocation->config) : Config{};
}

std::string refusal(std::vector<std::string> arguments, std::vector<std::string> environment = {}) {
  auto invocation = read(std::move(arguments), std::move(environment));
  EXPECT_FALSE(invocation.has_value());
  return invocation ? "" : invocation.error().message;
}

TEST(CommandLine, WithoutOptionsEverythingHasItsDefault) {
  const Config config = config_of({});
  EXPECT_EQ(config.listening_port, 3478);
  EXPECT_EQ(config.tls_listening_port, 5349);
  EXPECT_EQ(config.min_port, 49152);
  EXPECT_EQ(config.max_port, 65535);
  EXPECT_EQ(config.quota.per_user, 64u);
  EXPECT_EQ(config.quota.total, 0u);
  EXPECT_EQ(config.unauthorized_replies_per_second, 1000u);
  EXPECT_EQ(config.workers, 0u);
  EXPECT_FALSE(config.open_rooms);
  EXPECT_FALSE(config.rfc5766_channel_numbers);
  EXPECT_TRUE(config.segmentation);
  EXPECT_THAT(config.listening_ips, IsEmpty());
  EXPECT_THAT(config.notices, IsEmpty());
}

TEST(CommandLine, WhereToListenReachesItsFields) {
  const Config config = config_of({"--listening-ip",
                                   "192.0.2.1",
                                   "--listening-ip=[2001:db8::1]",
                                   "--listening-port",
                                   "1000",
                                   "--tls-listening-port=443",
                                   "--http-port",
                                   "80",
                                   "--http-port",
                                   "8080",
                                   "--public-host",
                                   "Turn.Example.ORG",
                                   "--cert",
                                   "c.pem",
                                   "--pkey",
                                   "k.pem",
                                   "--dtls",
                                   "--rfc5780",
                                   "--alt-listening-port",
                                   "1001",
                                   "--tcp-proxy-port",
                                   "8443",
                                   "--trusted-proxy",
                                   "10.0.0.1"});
  EXPECT_THAT(config.listening_ips,
              ElementsAre(*IpAddress::parse("192.0.2.1"), *IpAddress::parse("2001:db8::1")));
  EXPECT_EQ(config.listening_port, 1000);
  EXPECT_EQ(config.tls_listening_port, 443);
  EXPECT_THAT(config.http_ports, ElementsAre(80, 8080));
  EXPECT_EQ(config.public_host, "turn.example.org");
  EXPECT_THAT(config.certificate_files, ElementsAre("c.pem"));
  EXPECT_THAT(config.key_files, ElementsAre("k.pem"));
  EXPECT_TRUE(config.dtls);
  EXPECT_TRUE(config.rfc5780);
  EXPECT_EQ(config.alt_listening_port, 1001);
  EXPECT_THAT(config.proxy_ports, ElementsAre(8443));
}

TEST(CommandLine, HowToRelayReachesItsFields) {
  const Config config = config_of({"--relay-ip",
                                   "192.0.2.2",
                                   "--external-ip",
                                   "203.0.113.1/192.0.2.2",
                                   "--min-port",
                                   "50000",
                                   "--max-port",
                                   "50100",
                                   "--allowed-peer-ip",
                                   "10.0.0.0/8",
                                   "--denied-peer-ip",
                                   "198.51.100.1-198.51.100.9",
                                   "--user-quota",
                                   "7",
                                   "--total-quota",
                                   "70",
                                   "--unauthorized-ratelimit-rps",
                                   "5",
                                   "--rfc5766-channel-numbers",
                                   "--no-udp-gso"});
  EXPECT_THAT(config.relay_ips, ElementsAre(IpAddress::v4(192, 0, 2, 2)));
  ASSERT_THAT(config.external_ips, SizeIs(1));
  EXPECT_EQ(config.external_ips[0].external, IpAddress::v4(203, 0, 113, 1));
  EXPECT_EQ(config.external_ips[0].local, IpAddress::v4(192, 0, 2, 2));
  EXPECT_EQ(config.min_port, 50000);
  EXPECT_EQ(config.max_port, 50100);
  EXPECT_THAT(config.allowed_peers, ElementsAre(*IpRange::parse("10.0.0.0/8")));
  EXPECT_THAT(config.denied_peers, ElementsAre(*IpRange::parse("198.51.100.1-198.51.100.9")));
  EXPECT_EQ(config.quota.per_user, 7u);
  EXPECT_EQ(config.quota.total, 70u);
  EXPECT_EQ(config.unauthorized_replies_per_second, 5u);
  EXPECT_TRUE(config.rfc5766_channel_numbers);
  EXPECT_FALSE(config.segmentation);
}

TEST(CommandLine, StunServersThatTellTheExternalAddressAreNamedInOrder) {
  const Config config =
      config_of({"--external-ip", "auto:stun.example.org", "--external-ip", "AUTO:192.0.2.7:19302",
                 "--external-ip", "auto:2001:db8::7", "--external-ip", "auto:[2001:db8::8]:5000"});
  EXPECT_TRUE(config.find_external_ips);
  EXPECT_THAT(config.external_ips, IsEmpty());
  std::vector<std::string> servers;
  for (const StunServer& server : config.stun_servers) servers.push_back(server.to_string());
  EXPECT_THAT(servers, ElementsAre("stun.example.org:3478", "192.0.2.7:19302", "[2001:db8::7]:3478",
                                   "[2001:db8::8]:5000"));
  EXPECT_TRUE(config_of({"--external-ip", "auto"}).find_external_ips);
  EXPECT_FALSE(config_of({}).find_external_ips);
}

TEST(CommandLine, WhoMayRelayReachesItsFields) {
  ScratchDir dir;
  const Config config =
      config_of({"--realm", "example.org", "--user", "alice:wonder:land", "--user-file",
                 dir.write("users", "bob:b:c\n"), "--static-auth-secret", "first",
                 "--static-auth-secret-file", dir.write("secrets", "second\n"), "--api-key",
                 "key-one", "--api-key-file", dir.write("keys", "key-two\n"), "--open-rooms"});
  EXPECT_EQ(config.realm, "example.org");
  ASSERT_THAT(config.users, SizeIs(2));
  EXPECT_EQ(config.users[0].name, "alice");
  EXPECT_EQ(config.users[0].password, "wonder:land");
  EXPECT_EQ(config.users[1].password, "b:c");
  EXPECT_THAT(config.shared_secrets, ElementsAre("first", "second"));
  EXPECT_THAT(config.api_keys, ElementsAre("key-one", "key-two"));
  EXPECT_TRUE(config.open_rooms);
}

TEST(CommandLine, TheRestReachesItsFields) {
  const Config config = config_of({"--workers", "3", "--static", "/srv", "--state-dir", "/state",
                                   "--allowed-origin", "https://App.example.org:8443"});
  EXPECT_EQ(config.workers, 3u);
  EXPECT_EQ(config.static_dir, "/srv");
  EXPECT_EQ(config.state_dir, "/state");
  EXPECT_THAT(config.allowed_origins, ElementsAre("https://app.example.org:8443"));
}

TEST(CommandLine, WhoMayEnterRoomsReachesItsFields) {
  ScratchDir dir;
  const std::string secret(32, 's');
  const Config config = config_of(
      {"--room-jwt", secret, "--room-jwt-file",
       dir.write("jwt", "# rotated\n" + std::string(33, 't') + "\n" + std::string(34, 'u') + "\n"),
       "--room-jwt-file", dir.write("public.pem", std::string("\n") + kPublicKey), "--room-key",
       "open sesame", "--room-key-file", dir.write("words", "word\n"), "--lobby-size", "7",
       "--trusted-proxy", "127.0.0.1", "--trusted-proxy", "10.0.0.0/8"});
  EXPECT_THAT(config.room_jwt_keys,
              ElementsAre(secret, std::string(33, 't'), std::string(34, 'u'), kPublicKey));
  EXPECT_THAT(config.room_passwords, ElementsAre("open sesame", "word"));
  EXPECT_EQ(config.lobby_size, 7u);
  EXPECT_THAT(config.trusted_proxies,
              ElementsAre(*IpRange::parse("127.0.0.1"), *IpRange::parse("10.0.0.0/8")));
  EXPECT_EQ(Config{}.lobby_size, 32u);
}

TEST(CommandLine, TheEchoIsThereInBoundsAndCanBeTurnedOff) {
  const Config plain = config_of({});
  EXPECT_TRUE(plain.echo);
  EXPECT_EQ(plain.echo_max, 8u);
  EXPECT_EQ(plain.echo_time, 300u);
  EXPECT_FALSE(config_of({"--no-echo"}).echo);
  const Config config = config_of({"--echo-max", "3", "--echo-time", "60"});
  EXPECT_EQ(config.echo_max, 3u);
  EXPECT_EQ(config.echo_time, 60u);
  EXPECT_THAT(refusal({"--echo-max", "0"}), HasSubstr("1 to 256"));
  EXPECT_THAT(refusal({"--echo-max", "257"}), HasSubstr("1 to 256"));
  EXPECT_THAT(refusal({"--echo-time", "4"}), HasSubstr("5 to 3600"));
  EXPECT_THAT(refusal({"--echo-time", "3601"}), HasSubstr("5 to 3600"));
}

TEST(CommandLine, AFlagMayBeSwitchedOffInWords) {
  EXPECT_FALSE(config_of({"--open-rooms=false"}).open_rooms);
  EXPECT_FALSE(config_of({"--open-rooms=no"}, {"TURNPIKE_OPEN_ROOMS=1"}).open_rooms);
  EXPECT_TRUE(config_of({"--no-udp-gso=off"}).segmentation);
  EXPECT_THAT(refusal({"--open-rooms=maybe"}),
              HasSubstr("--open-rooms=maybe: expected true or false"));
}

TEST(CommandLine, AnUnknownOptionIsRefusedWithTheNearestName) {
  EXPECT_THAT(refusal({"--listenin-port", "3478"}),
              AllOf(HasSubstr("--listenin-port"), HasSubstr("did you mean --listening-port?")));
  EXPECT_THAT(refusal({"--static-auth-secre=hush"}),
              AllOf(HasSubstr("did you mean --static-auth-secret?"), Not(HasSubstr("hush"))));
  EXPECT_THAT(refusal({"--completely-different"}),
              AllOf(HasSubstr("unknown option"), Not(HasSubstr("did you mean"))));
  EXPECT_THAT(refusal({"-L", "192.0.2.1"}), HasSubstr("unknown option -L"));
  EXPECT_THAT(refusal({"serve"}), HasSubstr("unexpected argument 'serve'"));
}

TEST(CommandLine, AMissingOrEmptyValueIsRefusedBeforeItSwallowsTheNextOption) {
  EXPECT_THAT(refusal({"--realm"}), HasSubstr("--realm needs a value"));
  EXPECT_THAT(refusal({"--realm", "--open-rooms"}), HasSubstr("--realm needs a value"));
  EXPECT_THAT(refusal({"--realm=", "x"}), HasSubstr("--realm has an empty value"));
  EXPECT_THAT(refusal({"--realm", ""}), HasSubstr("--realm"));
}

TEST(CommandLine, AValueMayBeginWithADashOrStandInBrackets) {
  EXPECT_THAT(config_of({"--static-auth-secret", "-dash"}).shared_secrets, ElementsAre("-dash"));
  EXPECT_THAT(config_of({"--static-auth-secret=--dashes"}).shared_secrets, ElementsAre("--dashes"));
  EXPECT_THAT(config_of({"--static-auth-secret", "[a,b]"}).shared_secrets, ElementsAre("[a,b]"));
}

TEST(CommandLine, AnOptionThatTakesOneValueIsRefusedTwice) {
  EXPECT_THAT(refusal({"--realm", "a", "--realm=b"}),
              AllOf(HasSubstr("--realm a"), HasSubstr("--realm b"), HasSubstr("only one")));
}

TEST(CommandLine, HelpAndVersionWinOverEverythingElse) {
  EXPECT_EQ(read({"--help", "--workers", "x"})->wish, Invocation::Wish::kHelp);
  EXPECT_EQ(read({"--version"}, {"TURNPIKE_NONSENSE=1"})->wish, Invocation::Wish::kVersion);
}

TEST(CommandLine, SecretsAreOverwrittenInBothSpellings) {
  Texts argv({"turnpike", "--user", "alice:wonderland", "--static-auth-secret=topsecret",
              "--api-key", "key-one", "--realm", "example.org"});
  Texts environ({});
  const auto invocation = read_options(argv.count(), argv.raw(), environ.raw());
  ASSERT_TRUE(invocation.has_value());
  EXPECT_EQ(invocation->config.users[0].password, "wonderland");
  EXPECT_THAT(invocation->config.shared_secrets, ElementsAre("topsecret"));
  EXPECT_EQ(argv.text(2), "*");
  EXPECT_EQ(argv.text(3), "--static-auth-secret=*");
  EXPECT_EQ(argv.text(5), "*");
  EXPECT_EQ(argv.text(7), "example.org");
  EXPECT_EQ(std::string(argv.raw()[2] + 1, 15), std::string(15, '\0'));
}

TEST(CommandLine, SecretsAreOverwrittenEvenWhenTheRestIsWrong) {
  Texts argv({"turnpike", "--user", "alice:wonderland", "--nonsense"});
  Texts environ({});
  EXPECT_FALSE(read_options(argv.count(), argv.raw(), environ.raw()).has_value());
  EXPECT_EQ(argv.text(2), "*");
}

struct BadValue {
  std::vector<std::string> arguments;
  std::vector<std::string> says;
};

void expect_sentences(const std::vector<BadValue>& values) {
  for (const BadValue& one : values) {
    const std::string sentence = refusal(one.arguments);
    for (const std::string& part : one.says) EXPECT_THAT(sentence, HasSubstr(part));
  }
}

TEST(OptionValues, ABadOneSaysWhichOptionWhichValueAndWhatIsExpected) {
  expect_sentences({
      {{"--listening-port", "65536"}, {"--listening-port 65536", "0 to 65535"}},
      {{"--listening-port", "34x"}, {"--listening-port 34x", "0 to 65535"}},
      {{"--listening-port", "-1"}, {"--listening-port -1", "0 to 65535"}},
      {{"--min-port", "0"}, {"--min-port 0", "1 to 65535"}},
      {{"--http-port", "70000"}, {"--http-port 70000", "port number"}},
      {{"--workers", "257"}, {"--workers 257", "0 to 256"}},
      {{"--user-quota", "1000001"}, {"--user-quota 1000001", "0 to 1000000"}},
      {{"--listening-ip", "localhost"}, {"--listening-ip localhost", "IP address"}},
      {{"--relay-ip", "192.0.2.256"}, {"--relay-ip 192.0.2.256", "IP address"}},
      {{"--external-ip", "1.2.3.4/x"}, {"--external-ip 1.2.3.4/x", "PUBLIC/PRIVATE"}},
      {{"--external-ip", "1.2.3.4/::1"}, {"--external-ip 1.2.3.4/::1", "one family"}},
      {{"--external-ip", "0.0.0.0"}, {"--external-ip 0.0.0.0", "wildcard"}},
      {{"--external-ip", "224.0.0.1"}, {"--external-ip 224.0.0.1", "multicast"}},
      {{"--external-ip", "auto/10.0.0.4"}, {"--external-ip auto/10.0.0.4", "without PRIVATE"}},
      {{"--external-ip", "auto:"}, {"--external-ip auto:", "auto:HOST[:PORT]"}},
      {{"--external-ip", "auto:a b"}, {"--external-ip auto:a b", "auto:HOST[:PORT]"}},
      {{"--external-ip", "auto:a.example:0"}, {"auto:a.example:0", "auto:HOST[:PORT]"}},
      {{"--external-ip", "automatic"}, {"--external-ip automatic", "auto:HOST[:PORT]"}},
      {{"--denied-peer-ip", "10.0.0.0/33"}, {"--denied-peer-ip 10.0.0.0/33", "0 to 32"}},
      {{"--allowed-peer-ip", "10.0.0.9-10.0.0.1"}, {"--allowed-peer-ip", "ends before"}},
      {{"--realm", "a\"b"}, {"--realm a\"b", "quotes"}},
      {{"--public-host", "https://a.example"}, {"--public-host", "without scheme"}},
      {{"--public-host", "a.example:3478"}, {"--public-host", "port"}},
      {{"--public-host", "192.0.2.256"}, {"--public-host 192.0.2.256", "host name"}},
      {{"--allowed-origin", "app.example.org"}, {"--allowed-origin", "scheme"}},
      {{"--allowed-origin", "https://a.example/x"}, {"--allowed-origin", "scheme"}},
      {{"--allowed-origin", "*"}, {"--allowed-origin *", "scheme"}},
      {{"--alternate-server", "turn2.example"}, {"--alternate-server", "192.0.2.7:3478"}},
      {{"--alternate-server", "9.9.9.9:0"}, {"--alternate-server 9.9.9.9:0", "address"}},
      {{"--alternate-server", "9.9.9.9/a b"}, {"--alternate-server 9.9.9.9/a b", "address"}},
      {{"--static", ""}, {"--static", "expected the path"}},
      {{"--trusted-proxy", "proxy.example"}, {"--trusted-proxy proxy.example"}},
      {{"--lobby-size", "1"}, {"--lobby-size 1", "2 to 1024"}},
      {{"--lobby-size", "1025"}, {"--lobby-size 1025", "2 to 1024"}},
      {{"--room-key", ""}, {"--room-key", "1 to 1024"}},
      {{"--min-port", "2000", "--max-port", "1999"}, {"--min-port 2000", "--max-port 1999"}},
      {{"--cert", "c.pem"}, {"--cert", "--pkey"}},
      {{"--pkey", "k.pem"}, {"--pkey", "--cert"}},
      {{"--cert", "a.pem", "--cert", "b.pem", "--pkey", "k.pem"},
       {"--cert is given 2 times, --pkey 1", "in the same order"}},
      {{"--dtls"}, {"--dtls", "--cert"}},
      {{"--tcp-proxy-port", "8443"}, {"--tcp-proxy-port 8443", "--trusted-proxy"}},
      {{"--tcp-proxy-port", "3478"}, {"--tcp-proxy-port 3478", "taken"}},
      {{"--tcp-proxy-port", "65536"}, {"--tcp-proxy-port 65536", "port number"}},
      {{"--rfc5780", "--listening-port", "0"}, {"--rfc5780", "--listening-port"}},
      {{"--rfc5780", "--listening-port", "65535"}, {"--rfc5780", "--alt-listening-port"}},
      {{"--rfc5780", "--alt-listening-port", "3478"}, {"--alt-listening-port 3478", "taken"}},
      {{"--alt-listening-port", "0"}, {"--alt-listening-port 0", "1 to 65535"}},
      {{"--http-port", "3478"}, {"--http-port 3478", "taken"}},
      {{"--http-port", "80", "--http-port", "80"}, {"--http-port 80", "taken"}},
      {{"--cert", "c", "--pkey", "k", "--tls-listening-port", "3478"},
       {"--tls-listening-port 3478"}},
  });
}

TEST(OptionValues, SoDoThoseOfCredentials) {
  expect_sentences({
      {{"--rest-api-separator", "ab"}, {"--rest-api-separator ab", "one character"}},
      {{"--rest-api-separator", "7"}, {"--rest-api-separator 7", "one character"}},
      {{"--stale-nonce", "3601"}, {"--stale-nonce 3601", "60 to 3600"}},
      {{"--oauth"}, {"--oauth-key"}},
      {{"--oauth-key", "n:AAAAAAAAAAAAAAAAAAAAAA=="}, {"--oauth "}},
      {{"--oauth-key", "n:AAAA"}, {"--oauth-key", "16 or 32 bytes"}},
      {{"--server-name", std::string(65, 'n')}, {"--server-name", "64 bytes"}},
      {{"--turn-jwt", "short"}, {"--turn-jwt", "32 bytes"}},
      {{"--auth-hook", "auth.example.org"}, {"--auth-hook auth.example.org", "https://"}},
      {{"--auth-hook", "http://a_b.1/"}, {"--auth-hook http://a_b.1/", "host name"}},
      {{"--auth-hook-ca", "ca.pem"}, {"--auth-hook-ca", "URL"}},
      {{"--auth-hook", "http://h/", "--auth-hook-ca", "ca.pem"}, {"--auth-hook-ca", "plain http"}},
      {{"--auth-hook-token", "t"}, {"--auth-hook-token", "URL"}},
      {{"--auth-hook-token", "a b"}, {"--auth-hook-token", "without blanks"}},
      {{"--auth-hook-timeout", "31"}, {"--auth-hook-timeout 31", "1 to 30"}},
      {{"--auth-hook-cache", "0"}, {"--auth-hook-cache 0", "1 to 86400"}},
      {{"--turn-jwt", "-----BEGIN PUBLIC KEY-----"}, {"--turn-jwt", "HS256"}},
  });
}

TEST(OptionValues, WhatOthersCouldReadNeedsAToken) {
  expect_sentences({
      {{"--prometheus-address", "0.0.0.0"}, {"--prometheus-address", "--prometheus-token"}},
      {{"--public-stats"}, {"--public-stats", "--prometheus-token"}},
  });
  EXPECT_TRUE(config_of({"--public-stats", "--prometheus-token", "a-token"}).public_stats);
}

TEST(OptionValues, TheEdgesOfEveryRangeAreAccepted) {
  EXPECT_EQ(config_of({"--listening-port", "0"}).listening_port, 0);
  EXPECT_EQ(config_of({"--listening-port", "65535"}).listening_port, 65535);
  EXPECT_EQ(config_of({"--workers", "256"}).workers, 256u);
  EXPECT_EQ(config_of({"--user-quota", "1000000"}).quota.per_user, 1000000u);
  EXPECT_EQ(config_of({"--min-port", "2000", "--max-port", "2000"}).min_port, 2000);
  EXPECT_THAT(config_of({"--http-port", "0", "--http-port", "0"}).http_ports, SizeIs(2));
  EXPECT_EQ(config_of({"--realm", std::string(64, 'r')}).realm.size(), 64u);
  EXPECT_THAT(refusal({"--realm", std::string(65, 'r')}), HasSubstr("64 bytes"));
}

TEST(OptionValues, CertificatesAndTheirKeysAreListsInEverySource) {
  ScratchDir dir;
  const std::string file =
      dir.write("turnpike.json", R"({"cert": ["a.pem", "b.pem"], "pkey": ["a.key", "b.key"]})");
  for (const Config& config :
       {config_of({"--cert", "a.pem", "--pkey", "a.key", "--cert", "b.pem", "--pkey", "b.key"}),
        config_of({}, {"TURNPIKE_CERT=a.pem,b.pem", "TURNPIKE_PKEY=a.key\nb.key"}),
        config_of({"--config", file})}) {
    EXPECT_THAT(config.certificate_files, ElementsAre("a.pem", "b.pem"));
    EXPECT_THAT(config.key_files, ElementsAre("a.key", "b.key"));
  }
}

TEST(OptionValues, AtMostSixtyFourCertificates) {
  std::vector<std::string> arguments;
  for (int i = 0; i < 64; ++i) {
    arguments.insert(arguments.end(), {"--cert", "c.pem", "--pkey", "k.pem"});
  }
  EXPECT_THAT(config_of(arguments).certificate_files, SizeIs(64));
  arguments.insert(arguments.end(), {"--cert", "c.pem", "--pkey", "k.pem"});
  EXPECT_THAT(refusal(arguments), HasSubstr("64 at most"));
}

TEST(OptionValues, AUserHasAPasswordOrTheKeyMadeOfIt) {
  const Config config = config_of({"--user", "a:0x00112233445566778899aabbccddeeFF", "--user",
                                   "b:0x0011", "--user", "c:0x00112233445566778899aabbccddeegg"});
  ASSERT_THAT(config.users, SizeIs(3));
  ASSERT_TRUE(config.users[0].key);
  EXPECT_EQ((*config.users[0].key)[15], 0xFF);
  EXPECT_EQ(config.users[0].password, "");
  EXPECT_FALSE(config.users[1].key) << "not the size of a key: a password";
  EXPECT_EQ(config.users[1].password, "0x0011");
  EXPECT_FALSE(config.users[2].key);
}

TEST(OptionValues, AlternateServersHaveAPortAndMayHaveAName) {
  const Config config = config_of({"--alternate-server", "192.0.2.7", "--alternate-server",
                                   "[2001:db8::7]:5349/Turn2.Example.org"});
  ASSERT_THAT(config.alternate_servers, SizeIs(2));
  EXPECT_EQ(config.alternate_servers[0].address, *Address::parse("192.0.2.7:3478"));
  EXPECT_EQ(config.alternate_servers[1].address, *Address::parse("[2001:db8::7]:5349"));
  EXPECT_EQ(config.alternate_servers[1].domain, "turn2.example.org");
}

TEST(OptionValues, ASecretIsNeverRepeatedInAnError) {
  EXPECT_THAT(refusal({"--user", "opensesame"}),
              AllOf(HasSubstr("--user"), HasSubstr("NAME:PASSWORD"), Not(HasSubstr("opensesame"))));
  EXPECT_THAT(
      refusal({"--user", "a:opensesame", "--user", "a:otherword"}),
      AllOf(HasSubstr("--user"), Not(HasSubstr("opensesame")), Not(HasSubstr("otherword"))));
  EXPECT_THAT(refusal({"--api-key", "open sesame"}),
              AllOf(HasSubstr("--api-key"), Not(HasSubstr("sesame"))));
  EXPECT_THAT(refusal({"--room-jwt", "opensesame"}),
              AllOf(HasSubstr("--room-jwt"), HasSubstr("32 bytes"), Not(HasSubstr("sesame"))));
  EXPECT_THAT(refusal({}, {"TURNPIKE_USER=opensesame"}),
              AllOf(HasSubstr("TURNPIKE_USER"), Not(HasSubstr("opensesame"))));
}

TEST(OptionValues, AFileOfRoomKeysHoldsSecretsOrOnePublicKey) {
  ScratchDir dir;
  EXPECT_THAT(refusal({"--room-jwt-file", dir.write("short", std::string(32, 's') + "\nhush\n")}),
              AllOf(HasSubstr("line 2"), HasSubstr("32 bytes"), Not(HasSubstr("hush"))));
  EXPECT_THAT(refusal({"--room-jwt-file", dir.write("key", "-----BEGIN PRIVATE KEY-----\nAAAA\n")}),
              HasSubstr("P-256"));
  EXPECT_THAT(refusal({"--room-jwt-file", dir.write("none", "\n")}), HasSubstr("is empty"));
}

TEST(OptionValues, AtMostEightRoomKeysOfAKind) {
  for (const std::string option : {"--room-jwt=", "--room-key="}) {
    std::vector<std::string> arguments;
    for (int i = 0; i < 8; ++i) {
      arguments.push_back(option + std::string(32, 'x') + std::to_string(i));
    }
    config_of(arguments);
    arguments.push_back(option + std::string(32, 'y'));
    EXPECT_THAT(refusal(arguments), HasSubstr("at most 8"));
  }
}

TEST(OptionValues, AtMostEightSharedSecretsForRotation) {
  std::vector<std::string> arguments;
  for (int i = 0; i < 8; ++i) arguments.push_back("--static-auth-secret=s" + std::to_string(i));
  EXPECT_THAT(config_of(arguments).shared_secrets, SizeIs(8));
  arguments.push_back("--static-auth-secret=s8");
  EXPECT_THAT(refusal(arguments), HasSubstr("at most 8"));
}

TEST(Environment, NamesAreUpperCaseWithUnderscores) {
  const Config config = config_of(
      {}, {"PATH=/bin", "TURNPIKE_LISTENING_PORT=1234", "TURNPIKE_RFC5766_CHANNEL_NUMBERS=yes",
           "TURNPIKE_NO_UDP_GSO=1", "TURNPIKE_REALM="});
  EXPECT_EQ(config.listening_port, 1234);
  EXPECT_TRUE(config.rfc5766_channel_numbers);
  EXPECT_FALSE(config.segmentation);
  EXPECT_EQ(config.realm, "");
}

TEST(Environment, ListsAreSeparatedByCommasOrLineBreaksAndSecretsByLineBreaksOnly) {
  const Config config = config_of({}, {"TURNPIKE_DENIED_PEER_IP=1.0.0.0/8, 2.0.0.0/8\n3.0.0.0/8,\n",
                                       "TURNPIKE_USER=alice:a,b\nbob:c"});
  EXPECT_THAT(config.denied_peers, SizeIs(3));
  ASSERT_THAT(config.users, SizeIs(2));
  EXPECT_EQ(config.users[0].password, "a,b");
}

TEST(Environment, AnUnknownVariableIsRefusedWithTheNearestName) {
  EXPECT_THAT(refusal({}, {"TURNPIKE_REALMS=hush"}),
              AllOf(HasSubstr("TURNPIKE_REALMS"), HasSubstr("did you mean TURNPIKE_REALM?"),
                    Not(HasSubstr("hush"))));
  EXPECT_THAT(refusal({}, {"TURNPIKE_QQQQQQQ=1"}), Not(HasSubstr("did you mean")));
  EXPECT_THAT(refusal({}, {"TURNPIKE_HELP=1"}), HasSubstr("unknown variable TURNPIKE_HELP"));
}

TEST(Environment, WhatKubernetesAddsForAServiceCalledTurnpikeIsNotOurs) {
  const std::string added = "TURNPIKE_PORT_3478_UDP_ADDR=10.0.0.1";
  EXPECT_TRUE(read({}, {"KUBERNETES_SERVICE_HOST=10.0.0.1", added, "TURNPIKE_SERVICE_HOST=x",
                        "TURNPIKE_SERVICE_PORT_STUN=3478", "TURNPIKE_PORT=udp://10.0.0.1:3478"})
                  .has_value());
  EXPECT_THAT(refusal({}, {added}), HasSubstr("unknown variable"));
}

TEST(Environment, AFileMayHoldTheValueOfEveryVariable) {
  ScratchDir dir;
  const Config config = config_of(
      {}, {"TURNPIKE_REALM__FILE=" + dir.write("realm", "example.org\n"),
           "TURNPIKE_USER__FILE=" + dir.write("users", "# team\nalice:a,b\nbob:c\n"),
           "TURNPIKE_DENIED_PEER_IP__FILE=" + dir.write("ranges", "1.0.0.0/8\n2.0.0.0/8\n"),
           "TURNPIKE_OPEN_ROOMS__FILE=" + dir.write("open", "yes"),
           "TURNPIKE_ROOM_JWT__FILE=" + dir.write("key.pem", kPublicKey),
           "TURNPIKE_SERVER_NAME__FILE="});
  EXPECT_EQ(config.realm, "example.org");
  ASSERT_THAT(config.users, SizeIs(2));
  EXPECT_EQ(config.users[0].password, "a,b");
  EXPECT_THAT(config.denied_peers, SizeIs(2));
  EXPECT_TRUE(config.open_rooms);
  EXPECT_THAT(config.room_jwt_keys, ElementsAre(kPublicKey));
}

TEST(Environment, AFileThatHoldsAValueIsCheckedLikeASecretFile) {
  ScratchDir dir;
  const std::string users = dir.write("users", "hushhush\n");
  EXPECT_THAT(refusal({}, {"TURNPIKE_USER__FILE=" + users}),
              AllOf(HasSubstr("TURNPIKE_USER__FILE=" + users), HasSubstr("line 1"),
                    Not(HasSubstr("hush"))));
  EXPECT_THAT(refusal({}, {"TURNPIKE_REALM__FILE=" + dir.path_of("none")}),
              AllOf(HasSubstr("TURNPIKE_REALM__FILE="), HasSubstr("No such file")));
  EXPECT_THAT(refusal({}, {"TURNPIKE_REALM__FILE=" + dir.write("empty", "\n")}),
              HasSubstr("is empty"));
  EXPECT_THAT(refusal({}, {"TURNPIKE_REALM__FILE=" + dir.write("two", "a\nb\n")}),
              HasSubstr("one line"));
  EXPECT_THAT(refusal({}, {"TURNPIKE_WORKERS__FILE=" + dir.write("many", "many\n")}),
              AllOf(HasSubstr("TURNPIKE_WORKERS__FILE="), HasSubstr("0 to 256")));
  EXPECT_THAT(config_of({}, {"TURNPIKE_API_KEY__FILE=" + dir.write("open", "key\n", 0644)}).notices,
              ElementsAre(HasSubstr("chmod 640")));
}

TEST(Environment, AVariableAndItsFileExcludeEachOther) {
  ScratchDir dir;
  const std::string file = dir.write("realm", "a\n");
  EXPECT_THAT(refusal({}, {"TURNPIKE_REALM=b", "TURNPIKE_REALM__FILE=" + file}),
              AllOf(HasSubstr("TURNPIKE_REALM and TURNPIKE_REALM__FILE"), HasSubstr("only one")));
  EXPECT_EQ(config_of({}, {"TURNPIKE_REALM=", "TURNPIKE_REALM__FILE=" + file}).realm, "a");
  EXPECT_THAT(refusal({}, {"TURNPIKE_CONFIG__FILE=" + file}), HasSubstr("unknown variable"));
  EXPECT_THAT(refusal({}, {"TURNPIKE_RELM__FILE=" + file}), HasSubstr("TURNPIKE_REALM"));
}

TEST(ConfigFile, TakesTheSameNamesWithCommentsAndArrays) {
  ScratchDir dir;
  const std::string file = dir.write("turnpike.json", R"({
    // The usual port is taken.
    "listening-port": 3480,
    "listening-ip": ["192.0.2.1", "2001:db8::1"],
    "http-port": 80,                 /* one value needs no array */
    "user": ["alice:a,b"],
    "open-rooms": true,
    "realm": "example.org"
  })");
  const Config config = config_of({"--config", file});
  EXPECT_EQ(config.listening_port, 3480);
  EXPECT_THAT(config.listening_ips, SizeIs(2));
  EXPECT_THAT(config.http_ports, ElementsAre(80));
  EXPECT_EQ(config.users.at(0).password, "a,b");
  EXPECT_TRUE(config.open_rooms);
  EXPECT_EQ(config.realm, "example.org");
}

TEST(ConfigFile, CommandLineBeatsEnvironmentBeatsFile) {
  ScratchDir dir;
  const std::string file =
      dir.write("c.json", R"({"realm": "file", "workers": 2, "min-port": 2000})");
  const Config config =
      config_of({"--realm", "arguments"},
                {"TURNPIKE_CONFIG=" + file, "TURNPIKE_REALM=environment", "TURNPIKE_WORKERS=3"});
  EXPECT_EQ(config.realm, "arguments");
  EXPECT_EQ(config.workers, 3u);
  EXPECT_EQ(config.min_port, 2000);
}

TEST(ConfigFile, AListIsReplacedAsAWholeWhicheverOptionFillsIt) {
  ScratchDir dir;
  const std::string file = dir.write(
      "c.json", R"({"static-auth-secret": ["old", "older"], "denied-peer-ip": "1.0.0.0/8"})");
  const std::string secret = dir.write("secret", "new\n");
  const Config config = config_of({"--config", file, "--static-auth-secret-file", secret});
  EXPECT_THAT(config.shared_secrets, ElementsAre("new"));
  EXPECT_THAT(config.denied_peers, SizeIs(1));
}

TEST(ConfigFile, MistakesNameTheFileAndThePlace) {
  ScratchDir dir;
  const auto sentence = [&](const std::string& content) {
    const std::string file = dir.write("c.json", content);
    const std::string text = refusal({"--config", file});
    EXPECT_THAT(text, HasSubstr(file));
    return text;
  };
  EXPECT_THAT(sentence(R"({"relm": "x"})"), HasSubstr("did you mean \"realm\"?"));
  EXPECT_THAT(sentence("{\n  \"realm\": \"x\",\n}"), HasSubstr("line 3"));
  EXPECT_THAT(sentence(R"({"user": "hush:hush)"), Not(HasSubstr("hush")));
  EXPECT_THAT(sentence("[]"), HasSubstr("one object"));
  EXPECT_THAT(sentence(""), HasSubstr("not valid JSON"));
  EXPECT_THAT(sentence(R"({"realm": "x", "realm": "y"})"), HasSubstr("twice"));
  EXPECT_THAT(sentence(R"({"config": "x"})"), HasSubstr("command line"));
  EXPECT_THAT(sentence(R"({"realm": ["x"]})"), HasSubstr("one text"));
  EXPECT_THAT(sentence(R"({"workers": 1.5})"), HasSubstr("whole number"));
  EXPECT_THAT(sentence(R"({"workers": null})"), HasSubstr("whole number"));
  EXPECT_THAT(sentence(R"({"open-rooms": "yes"})"), HasSubstr("true or false"));
  EXPECT_THAT(sentence(R"({"http-port": [[80]]})"), HasSubstr("array"));
  EXPECT_THAT(sentence(R"({"listening-port": 70000})"),
              AllOf(HasSubstr("\"listening-port\": 70000"), HasSubstr("65535")));
}

TEST(ConfigFile, OneThatCannotBeReadSaysWhy) {
  ScratchDir dir;
  EXPECT_THAT(refusal({"--config", dir.path_of("none.json")}),
              AllOf(HasSubstr("none.json"), HasSubstr("No such file")));
  EXPECT_THAT(refusal({"--config", dir.path()}), HasSubstr("directory"));
  dir.write("huge.json", std::string((1 << 20) + 1, ' '));
  EXPECT_THAT(refusal({"--config", dir.path_of("huge.json")}), HasSubstr("larger than 1 MiB"));
}

TEST(ConfigFile, SecretsThatEveryUserCanReadAreAWarning) {
  ScratchDir dir;
  const std::string open = dir.write("open.json", R"({"user": "a:b"})", 0644);
  EXPECT_THAT(config_of({"--config", open}).notices, ElementsAre(HasSubstr("chmod 640")));
  const std::string harmless = dir.write("harmless.json", R"({"realm": "a"})", 0644);
  EXPECT_THAT(config_of({"--config", harmless}).notices, IsEmpty());
}

TEST(SecretFile, SkipsBlankLinesAndCommentsAndCutsTheNewline) {
  ScratchDir dir;
  const std::string file =
      dir.write("secrets", "# for the web shop\r\n\r\n  first secret \r\n\t# old\nsecond#1\n\n");
  EXPECT_THAT(config_of({"--static-auth-secret-file", file}).shared_secrets,
              ElementsAre("first secret", "second#1"));
}

TEST(SecretFile, AMistakeNamesTheLineAndNotItsText) {
  ScratchDir dir;
  const std::string file = dir.write("users", "alice:one\n\nhushhush\n");
  EXPECT_THAT(refusal({"--user-file", file}),
              AllOf(HasSubstr("--user-file " + file), HasSubstr("line 3"),
                    HasSubstr("NAME:PASSWORD"), Not(HasSubstr("hushhush"))));
  EXPECT_THAT(refusal({"--api-key-file", dir.write("none", "# nothing\n")}), HasSubstr("is empty"));
}

TEST(SecretFile, OneThatEveryUserCanReadIsAWarning) {
  ScratchDir dir;
  const std::string file = dir.write("secret", "x\n", 0644);
  EXPECT_THAT(config_of({"--static-auth-secret-file", file}).notices,
              ElementsAre(HasSubstr("chmod 640")));
  dir.write("secret", "x\n", 0640);
  EXPECT_THAT(config_of({"--static-auth-secret-file", file}).notices, IsEmpty());
}

TEST(Help, NamesEveryOptionAndFitsTheTerminal) {
  const std::string text = help_text();
  for (const Option& option : option_table()) {
    EXPECT_THAT(text, HasSubstr("  --" + std::string(option.name)));
  }
  for (const std::string_view line : split(text, '\n')) {
    EXPECT_LE(line.size(), 100u) << line;
    EXPECT_FALSE(line.ends_with(' ')) << line;
  }
  EXPECT_THAT(text, HasSubstr("Examples:"));
}

TEST(Help, TheConfigurationPageNamesEveryOption) {
  std::ifstream file(TURNPIKE_SOURCE_DIR "/docs/configuration.md");
  const std::string page{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  for (const Option& option : option_table()) {
    EXPECT_THAT(page, HasSubstr("`--" + std::string(option.name)));
  }
}

TEST(OptionTable, OptionsThatFillOneListShareTheirSetting) {
  for (const Option& option : option_table()) {
    const Option* owner = find_option(option.setting);
    ASSERT_NE(owner, nullptr) << option.name;
    EXPECT_EQ(owner->setting, option.setting);
    EXPECT_EQ(option.value.empty(), option.arity == Arity::kFlag) << option.name;
  }
}

}  // namespace
}  // namespace turnpike::server
