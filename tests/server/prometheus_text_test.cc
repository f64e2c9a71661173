#include "server/prometheus_text.h"

#include <gtest/gtest.h>

#include <array>

namespace turnpike::server {
namespace {

TEST(PrometheusText, WritesFamiliesAndSamples) {
  PrometheusText text;
  text.counter("a_total", "All of them.", 18446744073709551615u);
  text.family("b", PrometheusText::Kind::kGauge, "Some.");
  text.sample({{"x", "1"}, {"y", "two"}}, std::uint64_t{3});
  text.sample({{"x", "2"}}, 0.25);
  EXPECT_EQ(text.take(),
            "# HELP a_total All of them.\n# TYPE a_total counter\na_total 18446744073709551615\n"
            "# HELP b Some.\n# TYPE b gauge\nb{x=\"1\",y=\"two\"} 3\nb{x=\"2\"} 0.25\n");
  EXPECT_EQ(text.take(), "");
}

TEST(PrometheusText, WritesHistogramsWithWhatIsBelowEachBound) {
  PrometheusText text;
  const std::array<PrometheusText::Bucket, 3> buckets = {{{"1", 2}, {"60", 0}, {"+Inf", 3}}};
  text.histogram("h_seconds", "Times.", buckets, 12.5);
  EXPECT_EQ(text.take(),
            "# HELP h_seconds Times.\n# TYPE h_seconds histogram\n"
            "h_seconds_bucket{le=\"1\"} 2\nh_seconds_bucket{le=\"60\"} 2\n"
            "h_seconds_bucket{le=\"+Inf\"} 5\nh_seconds_sum 12.5\nh_seconds_count 5\n");
}

TEST(PrometheusText, EscapesWhatALabelMayHold) {
  PrometheusText text;
  text.family("a", PrometheusText::Kind::kGauge, "h");
  text.sample({{"x", "q\" b\\ n\n"}}, std::uint64_t{1});
  EXPECT_NE(text.take().find("a{x=\"q\\\" b\\\\ n\\n\"} 1\n"), std::string::npos);
}

}  // namespace
}  // namespace turnpike::server
