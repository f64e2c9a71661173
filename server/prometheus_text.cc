#include "server/prometheus_text.h"

#include <fmt/format.h>

#include <iterator>

namespace turnpike::server {
namespace {

std::string_view name_of(PrometheusText::Kind kind) {
  switch (kind) {
    case PrometheusText::Kind::kCounter:
      return "counter";
    case PrometheusText::Kind::kGauge:
      return "gauge";
    case PrometheusText::Kind::kHistogram:
      return "histogram";
  }
  return "untyped";
}

}  // namespace

void PrometheusText::family(std::string_view name, Kind kind, std::string_view help) {
  name_ = name;
  fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name,
                 name_of(kind));
}

void PrometheusText::begin_sample(Labels labels) {
  text_ += name_;
  char separator = '{';
  for (const Label& label : labels) {
    text_ += separator;
    separator = ',';
    text_.append(label.name).append("=\"");
    for (const char c : label.value) {
      if (c == '\n') {
        text_ += "\\n";
        continue;
      }
      if (c == '"' || c == '\\') text_ += '\\';
      text_ += c;
    }
    text_ += '"';
  }
  if (labels.size() > 0) text_ += '}';
  text_ += ' ';
}

void PrometheusText::sample(Labels labels, std::uint64_t value) {
  begin_sample(labels);
  fmt::format_to(std::back_inserter(text_), "{}\n", value);
}

void PrometheusText::sample(Labels labels, double value) {
  begin_sample(labels);
  fmt::format_to(std::back_inserter(text_), "{}\n", value);
}

void PrometheusText::counter(std::string_view name, std::string_view help, std::uint64_t value) {
  family(name, Kind::kCounter, help);
  sample({}, value);
}

void PrometheusText::gauge(std::string_view name, std::string_view help, std::uint64_t value) {
  family(name, Kind::kGauge, help);
  sample({}, value);
}

void PrometheusText::gauge(std::string_view name, std::string_view help, double value) {
  family(name, Kind::kGauge, help);
  sample({}, value);
}

void PrometheusText::histogram(std::string_view name, std::string_view help,
                               std::span<const Bucket> buckets, double sum) {
  family(name, Kind::kHistogram, help);
  name_.append("_bucket");
  std::uint64_t so_far = 0;
  for (const Bucket& bucket : buckets) {
    so_far += bucket.samples;
    sample({{"le", bucket.bound}}, so_far);
  }
  name_.assign(name).append("_sum");
  sample({}, sum);
  name_.assign(name).append("_count");
  sample({}, so_far);
}

}  // namespace turnpike::server
