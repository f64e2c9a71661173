// What turnpike-call counts over all calls, and how it tells it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tools/call/report.h"

namespace turnpike::call {
namespace {

using nlohmann::json;

CallRecord good_call(unsigned number, double setup) {
  CallRecord record;
  record.number = number;
  record.phases = {.joined = 2, .selected = setup / 2, .connected = setup - 1, .media = setup};
  record.path = "relay, relay";
  for (std::uint32_t to = 0; to < 2; ++to) {
    StreamRecord stream{.to = to, .kind = Kind::kAudio, .sent = 100};
    stream.received.packets = to == 0 ? 100 : 90;
    stream.received.delay_sum_ns = stream.received.packets * 3'000'000;
    stream.received.jitter_ns = 500'000;
    record.streams.push_back(stream);
  }
  return record;
}

Totals sample() {
  Totals totals;
  for (unsigned i = 1; i <= 10; ++i) totals.add(good_call(i, 10.0 * i));
  CallRecord bad;
  bad.number = 11;
  bad.failed = true;
  bad.cause = "relay refuses: 401 <&>";
  totals.add(bad);
  totals.add(bad);
  for (int i = 1; i <= 100; ++i) totals.on_arrival(static_cast<std::uint64_t>(i) * 1'000'000);
  totals.end_second({.talking = 10,
                     .sent = 1000,
                     .received = 950,
                     .late_ns = 7'000'000,
                     .time_ns = 1'000'000'000,
                     .cpu_ns = 400'000'000});
  totals.end_second({.talking = 8,
                     .sent = 1500,
                     .received = 1450,
                     .time_ns = 3'000'000'000,
                     .cpu_ns = 900'000'000});
  return totals;
}

TEST(CallTotals, CountLossSetUpAndCauses) {
  const Totals totals = sample();
  EXPECT_EQ(totals.calls(), 12u);
  EXPECT_EQ(totals.failed(), 2u);
  EXPECT_EQ(totals.causes().at("relay refuses: 401 <&>"), 2u);
  EXPECT_EQ(totals.paths().at("relay, relay"), 10u);
  EXPECT_DOUBLE_EQ(totals.loss(), 0.05);
  const auto setups = totals.phase(&Phases::media);
  ASSERT_EQ(setups.size(), 10u);
  EXPECT_EQ(percentile_of(setups, 0.5), 60);
  EXPECT_EQ(percentile_of(setups, 0.99), 100);
  EXPECT_EQ(percentile_of({}, 0.5), 0);
  EXPECT_DOUBLE_EQ(totals.jitter_ms(), 0.5);
  ASSERT_EQ(totals.seconds().size(), 2u);
  EXPECT_EQ(totals.seconds()[0].received, 950u);
  EXPECT_EQ(totals.seconds()[1].sent, 500u);
  EXPECT_EQ(totals.seconds()[1].received, 500u);
  EXPECT_NEAR(totals.seconds()[0].delay_p50_ms, 51, 1);
  EXPECT_EQ(totals.seconds()[1].delay_p50_ms, 0);  // a second of its own
  EXPECT_DOUBLE_EQ(totals.seconds()[0].late_ms, 7);
  EXPECT_DOUBLE_EQ(totals.seconds()[0].busy, 0.4);
  EXPECT_DOUBLE_EQ(totals.seconds()[1].late_ms, 0);
  EXPECT_DOUBLE_EQ(totals.seconds()[1].busy, 0.25);  // it was a long one
}

TEST(CallReport, HasTheTotalThatScriptsRead) {
  const json report = json::parse(json_of(Options{}, sample()));
  const json& total = report["total"];
  EXPECT_EQ(total["calls"], 12);
  EXPECT_EQ(total["failed"], 2);
  EXPECT_EQ(total["failures"]["relay refuses: 401 <&>"], 2);
  EXPECT_EQ(total["loss"], 0.05);
  EXPECT_EQ(total["jitter_ms"], 0.5);
  EXPECT_GT(total["mos"], 3.5);
  EXPECT_LT(total["mos"], 4.4);
  for (const char* name : {"min", "p50", "p90", "p95", "p99", "max"}) {
    EXPECT_TRUE(total["setup_ms"][name].is_number()) << name;
  }
  EXPECT_GT(total["delay_ms"]["p99"], total["delay_ms"]["p50"]);
  EXPECT_EQ(report["calls"].size(), 12u);
  EXPECT_EQ(report["calls"][0]["streams"].size(), 2u);
  EXPECT_EQ(report["calls"][11]["cause"], "relay refuses: 401 <&>");
  EXPECT_TRUE(report["calls"][11]["mos"].is_null());
  EXPECT_EQ(report["timeline"].size(), 2u);
}

TEST(CallTotals, TellCallsThatWereSetUpAgainFromThoseThatCameBack) {
  Totals totals;
  CallRecord record;
  totals.add(record);
  record.redials = 3;
  totals.add(record);
  record.failed = true;
  totals.add(record);
  EXPECT_EQ(totals.redialled(), 2u);
  EXPECT_EQ(totals.recovered(), 1u);
  const json report = json::parse(json_of(Options{}, totals));
  EXPECT_EQ(report["total"]["redialled"], 2);
  EXPECT_EQ(report["total"]["recovered"], 1);
  EXPECT_EQ(report["calls"][0]["redials"], 0);
  EXPECT_EQ(report["calls"][2]["redials"], 3);
  EXPECT_NE(table_of(Options{}, totals).find("2, 1 recovered"), std::string::npos);
}

TEST(CallReport, HasNoNumbersWhereNothingWasMeasured) {
  const json total = json::parse(json_of(Options{}, Totals{}))["total"];
  EXPECT_EQ(total["calls"], 0);
  EXPECT_TRUE(total["setup_ms"].is_null());
  EXPECT_TRUE(total["mos"].is_null());
  EXPECT_TRUE(total["delay_ms"].is_null());
}

TEST(CallReport, IsATableForPeople) {
  const std::string table = table_of(Options{}, sample());
  EXPECT_NE(table.find("12, 2 failed"), std::string::npos) << table;
  EXPECT_NE(table.find("2 x relay refuses: 401"), std::string::npos) << table;
  EXPECT_NE(table.find("5.000 % (100 of 2000 packets)"), std::string::npos) << table;
}

TEST(CallPlot, IsASelfContainedPictureOfTheRun) {
  Options options;
  options.server.authority = "a&b<c>";
  const std::string svg = plot_of(options, sample());
  EXPECT_TRUE(svg.starts_with("<svg "));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_NE(svg.find("a&amp;b&lt;c&gt;"), std::string::npos);
  EXPECT_EQ(svg.find("href"), std::string::npos);
  std::size_t lines = 0;
  for (std::size_t at = 0; (at = svg.find("<polyline", at)) != std::string::npos; ++at) ++lines;
  EXPECT_EQ(lines, 6u);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
}

}  // namespace
}  // namespace turnpike::call
