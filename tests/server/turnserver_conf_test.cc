// coturn's turnserver.conf: its grammar, and what becomes of its keys.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "server/coturn_keys.h"
#include "server/option_sources.h"
#include "server/options.h"
#include "tests/server/scratch_dir.h"

namespace turnpike::server {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

Expected<Invocation> start_with(const std::string& file, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"turnpike", "--config", file};
  arguments.insert(arguments.end(), more.begin(), more.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  char* environment = nullptr;
  return read_options(static_cast<int>(argv.size()), argv.data(), &environment);
}

class TurnserverConf : public ::testing::Test {
 protected:
  Config load(const std::string& content, std::vector<std::string> more = {}) {
    auto invocation = start_with(dir_.write("turnserver.conf", content), std::move(more));
    EXPECT_TRUE(invocation) << invocation.error().message;
    return invocation ? std::move(invocation->config) : Config{};
  }

  std::string refusal(const std::string& content) {
    auto invocation = start_with(dir_.write("turnserver.conf", content));
    EXPECT_FALSE(invocation) << content;
    return invocation ? "" : invocation.error().message;
  }

  ScratchDir dir_;
};

TEST_F(TurnserverConf, LinesAreKeysAndValuesWithBlanksOrEqualSigns) {
  const Config config = load(
      "# a comment\r\n"
      "\n"
      "   listening-port = 3480\r\n"
      "min-port\t50000\n"
      "max-port 50100  \n"
      "realm=\"example.org\"  \n"
      "fingerprint\n"
      "#realm=other.example\n"
      "listening-ip=192.0.2.1\n"
      "listening-ip=2001:db8::1");
  EXPECT_EQ(config.listening_port, 3480);
  EXPECT_EQ(config.min_port, 50000);
  EXPECT_EQ(config.max_port, 50100);
  EXPECT_EQ(config.realm, "example.org");
  EXPECT_TRUE(config.always_fingerprint);
  EXPECT_THAT(config.listening_ips, SizeIs(2));
  EXPECT_THAT(config.warnings, IsEmpty());
  EXPECT_THAT(config.notices, Contains(HasSubstr("as coturn's turnserver.conf")));
}

TEST_F(TurnserverConf, BooleansAreReadByTheirFirstLetter) {
  EXPECT_TRUE(load("fingerprint=True\n").always_fingerprint);
  EXPECT_TRUE(load("fingerprint 1\n").always_fingerprint);
  EXPECT_TRUE(load("fingerprint=On\n").always_fingerprint);
  EXPECT_FALSE(load("fingerprint=0\n").always_fingerprint);
  EXPECT_FALSE(load("fingerprint=no\n").always_fingerprint);
  EXPECT_FALSE(load("fingerprint=OFF\n").always_fingerprint);
  EXPECT_THAT(refusal("realm=a\nfingerprint=maybe\n"),
              AllOf(HasSubstr("fingerprint in "), HasSubstr("line 2"), HasSubstr("boolean")));
}

TEST_F(TurnserverConf, OfAKeyWithOneValueTheLastOneCounts) {
  const Config config = load("listening-port=1000\nlistening-port=2000\nno-dtls\nno-dtls\n");
  EXPECT_EQ(config.listening_port, 2000);
  EXPECT_THAT(config.warnings, ElementsAre(AllOf(HasSubstr("listening-port=1000"),
                                                 HasSubstr("line 1"), HasSubstr("later line"))));
}

TEST_F(TurnserverConf, ThereIsOneCertificateAsCoturnHasIt) {
  const Config config = load("cert=a.pem\npkey=a.key\ncert=b.pem\npkey=b.key\n");
  EXPECT_THAT(config.certificate_files, ElementsAre("b.pem"));
  EXPECT_THAT(config.key_files, ElementsAre("b.key"));
  EXPECT_THAT(config.warnings, Contains(AllOf(HasSubstr("cert=a.pem"), HasSubstr("later line"))));
}

TEST_F(TurnserverConf, ACommentBehindAValueIsCutWithAWarningButNeverFromASecret) {
  const Config config =
      load("listening-port=3480 # the usual one is taken\nstatic-auth-secret=a #b\n");
  EXPECT_EQ(config.listening_port, 3480);
  EXPECT_THAT(config.shared_secrets, ElementsAre("a #b"));
  EXPECT_THAT(config.warnings, ElementsAre(AllOf(HasSubstr("line 1"), HasSubstr("comment"))));
}

TEST_F(TurnserverConf, WhoMayRelay) {
  const Config config = load(
      "lt-cred-mech\nuse-auth-secret\nstatic-auth-secret=north\nstatic-auth-secret=south\n"
      "user=alice:correct horse\nuser=bob:0x00112233445566778899aabbccddeeff\n"
      "rest-api-separator=|\nstale-nonce\nsecure-stun\n");
  EXPECT_THAT(config.shared_secrets, ElementsAre("north", "south"));
  ASSERT_THAT(config.users, SizeIs(2));
  EXPECT_EQ(config.users[0].password, "correct horse");
  EXPECT_TRUE(config.users[1].key);
  EXPECT_EQ(config.rest_separator, '|');
  EXPECT_EQ(config.nonce_seconds, 600u);
  EXPECT_TRUE(config.secure_stun);
  EXPECT_THAT(config.warnings, ElementsAre(HasSubstr("users beside a shared secret")));
}

TEST_F(TurnserverConf, ASharedSecretThatWouldComeFromADatabaseIsRemarkedOn) {
  EXPECT_THAT(load("use-auth-secret\n").warnings,
              ElementsAre(AllOf(HasSubstr("use-auth-secret"), HasSubstr("state directory"))));
  EXPECT_THAT(load("use-auth-secret=0\n").warnings, SizeIs(1)) << "both ways are always open";
}

TEST_F(TurnserverConf, NatAndPeers) {
  const Config config = load(
      "external-ip=203.0.113.1/10.0.0.4\nrelay-ip=10.0.0.4\n"
      "denied-peer-ip=10.0.0.0-10.255.255.255\nallowed-peer-ip=10.1.2.3\nno-multicast-peers\n"
      "no-loopback-peers\nno-tcp-relay\nno-udp-relay=0\n");
  ASSERT_THAT(config.external_ips, SizeIs(1));
  EXPECT_EQ(config.external_ips[0].local, IpAddress::v4(10, 0, 0, 4));
  EXPECT_THAT(config.denied_peers, ElementsAre(*IpRange::parse("10.0.0.0/8")));
  EXPECT_THAT(config.allowed_peers, ElementsAre(*IpRange::parse("10.1.2.3")));
  EXPECT_FALSE(config.tcp_relay);
  EXPECT_THAT(config.warnings, IsEmpty());
}

TEST_F(TurnserverConf, LoopbackPeersAreAllowedByRange) {
  const Config config = load("allow-loopback-peers\n");
  EXPECT_THAT(config.allowed_peers,
              ElementsAre(*IpRange::parse("127.0.0.0/8"), *IpRange::parse("::1")));
  EXPECT_THAT(load("allow-loopback-peers=no\n").allowed_peers, IsEmpty());
}

TEST_F(TurnserverConf, OppositesAndOtherNames) {
  EXPECT_TRUE(load("no-tcp-relay=0\n").tcp_relay);
  EXPECT_FALSE(load("udp-gso=off\n").segmentation);
  EXPECT_TRUE(load("udp-gso\n").segmentation);
  EXPECT_FALSE(load("prod\n").send_software);
  EXPECT_TRUE(load("software-attribute\n").send_software);
  EXPECT_TRUE(load("rfc3489-compatibility\n").classic_stun);
  EXPECT_EQ(load("relay-threads=0\n").workers, 1u);
  EXPECT_EQ(load("cpus=3\n").workers, 3u);
  EXPECT_EQ(load("alt-listening-port=0\n").alt_listening_port, 0u);
  EXPECT_EQ(load("unauthorized-ratelimit=off\n").unauthorized_replies_per_second, 0u);
  EXPECT_EQ(load("unauthorized-ratelimit\n").unauthorized_replies_per_second, 1000u);
}

TEST_F(TurnserverConf, TransportsAndTheProcess) {
  const Config config = load(
      "no-udp\nno-tls\nproc-user=turnserver\nproc-group=turnserver\n"
      "pidfile=\"/run/turnserver.pid\"\n");
  EXPECT_FALSE(config.udp);
  EXPECT_TRUE(config.tcp);
  EXPECT_FALSE(config.tls);
  EXPECT_EQ(config.proc_user, "turnserver");
  EXPECT_EQ(config.proc_group, "turnserver");
  EXPECT_EQ(config.pid_file, "/run/turnserver.pid");
  EXPECT_THAT(config.warnings, IsEmpty());
  EXPECT_THAT(refusal("no-udp\nno-tcp\n"), HasSubstr("no port for clients"));
}

TEST_F(TurnserverConf, TheLog) {
  Config config = load("log-file=/var/log/turnserver.log\nsimple-log\nno-stdout-log\nverbose\n");
  EXPECT_EQ(config.logging.file, "/var/log/turnserver.log");
  EXPECT_TRUE(config.log_allocations);
  EXPECT_EQ(config.logging.level, log::Level::kInfo);
  EXPECT_FALSE(config.logging.syslog);
  EXPECT_THAT(config.warnings, IsEmpty());
  EXPECT_TRUE(load("syslog\n").logging.syslog);
  EXPECT_TRUE(load("log-file=syslog\n").logging.syslog);
  EXPECT_EQ(load("log-file=syslog\n").logging.file, "");
  EXPECT_EQ(load("Verbose\n").logging.level, log::Level::kDebug);
  EXPECT_EQ(load("log-min-level=WARNING\n").logging.level, log::Level::kWarning);
  EXPECT_EQ(load("log-min-level=CONTROL\n").logging.level, log::Level::kInfo);
  EXPECT_THAT(refusal("log-min-level=LOUD\n"), HasSubstr("expected debug"));
  config = load("log-file=stdout\n");
  EXPECT_EQ(config.logging.file, "");
  EXPECT_THAT(config.warnings, ElementsAre(HasSubstr("standard error")));
}

TEST_F(TurnserverConf, NonceLifetimesThatDoNotExistHereAreTheNearestOnes) {
  EXPECT_EQ(load("stale-nonce=3600\n").nonce_seconds, 3600u);
  for (const auto& [text, seconds] :
       {std::pair("0", 3600u), std::pair("30", 60u), std::pair("86400", 3600u)}) {
    const Config config = load(std::string("stale-nonce=") + text + "\n");
    EXPECT_EQ(config.nonce_seconds, seconds);
    EXPECT_THAT(config.warnings, ElementsAre(HasSubstr("stale-nonce in ")));
  }
}

TEST_F(TurnserverConf, QuotasAreUnlimitedUnlessGivenAsWithCoturn) {
  EXPECT_EQ(load("realm=a\n").quota.per_user, 0u);
  EXPECT_EQ(load("user-quota=12\n").quota.per_user, 12u);
  EXPECT_EQ(load("realm=a\n", {"--user-quota", "5"}).quota.per_user, 5u);
}

TEST_F(TurnserverConf, WhatHasNoEffectIsSaidOnceForEveryReason) {
  const Config config =
      load("cli-port=5766\ncli-password=hush\ncli-ip=127.0.0.1\ncli-port=5767\nudp-self-balance\n");
  EXPECT_THAT(config.warnings, SizeIs(2));
  EXPECT_THAT(config.warnings,
              Contains(AllOf(HasSubstr("no effect here: cli-port, cli-password, cli-ip in "),
                             HasSubstr("telnet"), Not(HasSubstr("hush")))));
}

TEST_F(TurnserverConf, ASwitchThatIsOffNeedsNoWarningUnlessItCannotBeOff) {
  EXPECT_THAT(load("cli=0\nno-auth=no\nserver-relay=false\n").warnings, IsEmpty());
  EXPECT_THAT(load("no-multicast-peers=0\n").warnings, ElementsAre(HasSubstr("always so here")));
}

TEST_F(TurnserverConf, WhatWouldBeUnsafeOrMisleadingIsRefusedWithWhatToDo) {
  EXPECT_THAT(refusal("realm=a\nno-auth\n"),
              AllOf(HasSubstr("no-auth in "), HasSubstr("line 2"), HasSubstr("remove it")));
  EXPECT_THAT(refusal("server-relay\n"), HasSubstr("permission"));
  EXPECT_THAT(refusal("psql-userdb=\"host=db password=hush\"\n"),
              AllOf(HasSubstr("--user-file"), Not(HasSubstr("hush"))));
}

TEST_F(TurnserverConf, AnUnknownKeyNamesTheNearest) {
  EXPECT_THAT(refusal("listenin-port=1\n"), HasSubstr("did you mean listening-port?"));
  EXPECT_THAT(refusal("no-cly\n"), HasSubstr("did you mean no-cli?"));
  EXPECT_THAT(refusal("--realm=a\n"), HasSubstr("without dashes, realm"));
  EXPECT_THAT(refusal("qqqqqqq=hush\n"),
              AllOf(HasSubstr("unknown key qqqqqqq"), HasSubstr("line 1"), Not(HasSubstr("hush")),
                    Not(HasSubstr("did you mean"))));
}

TEST_F(TurnserverConf, AMistakeNamesTheLineAndNeverASecret) {
  EXPECT_THAT(
      refusal("\nlistening-port=99999\n"),
      AllOf(HasSubstr("listening-port=99999 in "), HasSubstr("line 2"), HasSubstr("0 to 65535")));
  EXPECT_THAT(refusal("user=hushhush\n"),
              AllOf(HasSubstr("user in "), HasSubstr("NAME:PASSWORD"), Not(HasSubstr("hush"))));
  EXPECT_THAT(refusal("realm\n"), HasSubstr("expected a value"));
}

TEST_F(TurnserverConf, OptionsOfOurOwnMayStandThereToo) {
  const Config config = load("public-host=turn.example.org\nopen-rooms\nhttp-port=80\n");
  EXPECT_EQ(config.public_host, "turn.example.org");
  EXPECT_TRUE(config.open_rooms);
  EXPECT_THAT(config.http_ports, ElementsAre(80));
  EXPECT_THAT(refusal("config=other.conf\n"), HasSubstr("unknown key config"));
}

TEST_F(TurnserverConf, TheCommandLineWins) {
  const Config config = load("realm=file\nuser=a:b\n", {"--realm", "line", "--user", "c:d"});
  EXPECT_EQ(config.realm, "line");
  ASSERT_THAT(config.users, SizeIs(1));
  EXPECT_EQ(config.users[0].name, "c");
}

TEST_F(TurnserverConf, SecretsThatEveryUserCanReadAreANotice) {
  auto invocation = start_with(dir_.write("turnserver.conf", "static-auth-secret=a\n", 0644));
  ASSERT_TRUE(invocation);
  EXPECT_THAT(invocation->config.notices, Contains(HasSubstr("chmod 640")));
}

TEST(FormOfAFile, IsTakenFromWhatItSays) {
  EXPECT_FALSE(is_turnserver_conf("a.conf", "{\"realm\": \"a\"}"));
  EXPECT_FALSE(is_turnserver_conf("a.conf", "\n // comment\n{}"));
  EXPECT_FALSE(is_turnserver_conf("a.conf", "/* comment */ {}"));
  EXPECT_FALSE(is_turnserver_conf("a.conf", "[]"));
  EXPECT_FALSE(is_turnserver_conf("a.conf", "\xEF\xBB\xBF{}"));
  EXPECT_TRUE(is_turnserver_conf("/dev/fd/63", "# comment\n"));
  EXPECT_TRUE(is_turnserver_conf("/dev/fd/63", "realm=a\n"));
  EXPECT_TRUE(is_turnserver_conf("settings", "\n\nfingerprint"));
}

TEST(FormOfAFile, IsTakenFromItsNameOnlyWhereItSaysNothing) {
  EXPECT_TRUE(is_turnserver_conf("/etc/turnserver.conf", " \n"));
  EXPECT_FALSE(is_turnserver_conf("settings", ""));
  EXPECT_FALSE(is_turnserver_conf("settings.json", "realm=a")) << "wrong JSON, and said to be so";
}

TEST(CoturnKeys, EveryKeyStandsOnceAndIsExplained) {
  std::set<std::string_view> names;
  for (const CoturnKey& key : coturn_keys()) {
    EXPECT_TRUE(names.insert(key.name).second) << key.name;
    const bool acted_on = key.verdict == Verdict::kAccepted || key.verdict == Verdict::kMapped;
    if (!key.option.empty()) {
      EXPECT_TRUE(acted_on) << key.name;
      EXPECT_NE(find_option(key.option), nullptr) << key.name;
    } else {
      EXPECT_FALSE(key.note.empty()) << key.name;
      EXPECT_NE(key.verdict, Verdict::kMapped) << key.name;
    }
    if (key.form == KeyForm::kSwitch && !key.option.empty()) {
      EXPECT_NE(key.translate, nullptr) << key.name;
    }
    if (key.verdict == Verdict::kAccepted && !key.option.empty() && !key.name.starts_with("no-")) {
      EXPECT_TRUE(key.name == key.option || key.name == "prod") << key.name;
    }
  }
  for (const CoturnDefault& one : coturn_defaults()) EXPECT_TRUE(find_option(one.option));
}

}  // namespace
}  // namespace turnpike::server
