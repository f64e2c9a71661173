// What turnpike-call understands on its command line, and what it says of the rest.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tools/call/options.h"

namespace turnpike::call {
namespace {

Parsed parse(const std::vector<const char*>& words) {
  std::vector<const char*> arguments{"turnpike-call", "--server", "http://127.0.0.1:3478"};
  arguments.insert(arguments.end(), words.begin(), words.end());
  return parse_options(static_cast<int>(arguments.size()), arguments.data());
}

TEST(CallOrigin, IsTakenFromFourSchemes) {
  EXPECT_EQ(*parse_origin("http://a.example"), (Origin{false, "a.example", 80, "a.example"}));
  EXPECT_EQ(*parse_origin("https://a.example/"), (Origin{true, "a.example", 443, "a.example"}));
  EXPECT_EQ(*parse_origin("ws://127.0.0.1:3478"),
            (Origin{false, "127.0.0.1", 3478, "127.0.0.1:3478"}));
  EXPECT_EQ(*parse_origin("wss://[::1]:5349"), (Origin{true, "::1", 5349, "[::1]:5349"}));
  EXPECT_EQ(*parse_origin("wss://[2001:db8::1]"),
            (Origin{true, "2001:db8::1", 443, "[2001:db8::1]"}));
}

TEST(CallOrigin, RefusesWhatItCannotMean) {
  for (const char* text : {"", "a.example", "ftp://a.example", "http://", "http://a:x",
                           "http://a:99999", "http://a/ws", "http://a?x"}) {
    EXPECT_FALSE(parse_origin(text)) << text;
  }
}

TEST(CallOptions, ReadTimesRatesAndBitratesWithTheirUnits) {
  EXPECT_EQ(*parse_duration("30s"), seconds{30});
  EXPECT_EQ(*parse_duration("1.5"), milliseconds{1500});
  EXPECT_EQ(*parse_duration("2m"), minutes{2});
  EXPECT_EQ(*parse_duration("250ms"), milliseconds{250});
  EXPECT_EQ(*parse_rate("20/s"), 20);
  EXPECT_EQ(*parse_rate("90/m"), 1.5);
  EXPECT_EQ(*parse_rate("0.5"), 0.5);
  EXPECT_EQ(*parse_audio_interval("20"), milliseconds{20});
  EXPECT_EQ(*parse_audio_interval("120"), milliseconds{120});
  for (const char* text : {"", "0", "30", "20ms", "140"}) {
    EXPECT_FALSE(parse_audio_interval(text)) << text;
  }
  EXPECT_EQ(*parse_bitrate("500k"), 500'000u);
  EXPECT_EQ(*parse_bitrate("1.5m"), 1'500'000u);
  EXPECT_EQ(*parse_bitrate("off"), 0u);
  for (const char* text : {"", "s", "-1s", "1x", "0", "25h", "nan"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
  for (const char* text : {"", "0", "2000/s", "20/h", "-1"}) EXPECT_FALSE(parse_rate(text)) << text;
  for (const char* text : {"", "0", "5", "50m", "1g", "on"}) {
    EXPECT_FALSE(parse_bitrate(text)) << text;
  }
}

TEST(CallOptions, TakeTheWholeCommandLine) {
  const Parsed parsed = parse({"--key",
                               "secret",
                               "--calls",
                               "200",
                               "--rate",
                               "20/s",
                               "--duration",
                               "30s",
                               "--policy",
                               "relay",
                               "--transport",
                               "tls",
                               "--json",
                               "--video",
                               "off",
                               "--svg",
                               "a.svg",
                               "--ice-server",
                               "turn:127.0.0.1:1",
                               "--username",
                               "u",
                               "--credential",
                               "c",
                               "--no-verify-tls",
                               "--from",
                               "127.0.0.5",
                               "--signaling",
                               "socketio"});
  ASSERT_TRUE(parsed.options);
  const Options& options = *parsed.options;
  EXPECT_EQ(options.calls, 200u);
  EXPECT_EQ(options.policy, ice::Gatherer::Policy::kRelay);
  EXPECT_EQ(options.transport, load::Transport::kTls);
  EXPECT_EQ(options.dialect, Dialect::kSocketIo);
  EXPECT_EQ(options.video_bitrate, 0u);
  EXPECT_EQ(options.ice_servers, (std::vector<IceServer>{{"turn:127.0.0.1:1", "u", "c"}}));
  EXPECT_FALSE(options.verify_tls);
  EXPECT_TRUE(options.json);
  EXPECT_EQ(options.from, IpAddress::v4(127, 0, 0, 5));
}

TEST(CallOptions, RefuseContradictionsWithOneSentence) {
  const std::vector<std::vector<const char*>> mistakes = {{"--key", "a", "--invitation", "b"},
                                                          {"--invitation", "b"},
                                                          {"--join", "room", "--calls", "2"},
                                                          {"--ca", "file", "--no-verify-tls"},
                                                          {"--username", "u"},
                                                          {"--key", "with blank"},
                                                          {"--duration", "1x"},
                                                          {"--from", "here"},
                                                          {"--ice-server", "http://a"}};
  for (const auto& words : mistakes) {
    testing::internal::CaptureStderr();
    const Parsed parsed = parse(words);
    const std::string told = testing::internal::GetCapturedStderr();
    EXPECT_FALSE(parsed.options) << words.front();
    EXPECT_EQ(parsed.exit_code, kExitMistake);
    EXPECT_TRUE(told.starts_with("turnpike-call: ")) << told;
    EXPECT_EQ(std::count(told.begin(), told.end(), '\n'), 1) << told;
  }
}

}  // namespace
}  // namespace turnpike::call
