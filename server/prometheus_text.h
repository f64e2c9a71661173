// Metrics in Prometheus' text exposition format (version 0.0.4): families of samples, written in
// order. Help texts are ours; label values may be anything.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace turnpike::server {

class PrometheusText {
 public:
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

  enum class Kind : std::uint8_t { kCounter, kGauge, kHistogram };
  struct Label {
    std::string_view name;
    std::string_view value;
  };
  using Labels = std::initializer_list<Label>;

  // Names the family that the samples after it belong to.
  void family(std::string_view name, Kind kind, std::string_view help);
  void sample(Labels labels, std::uint64_t value);
  void sample(Labels labels, double value);

  // A family of one sample.
  void counter(std::string_view name, std::string_view help, std::uint64_t value);
  void gauge(std::string_view name, std::string_view help, std::uint64_t value);
  void gauge(std::string_view name, std::string_view help, double value);

  // A family of one histogram.
  struct Bucket {
    std::string_view bound;     // "60", in order; the last is "+Inf"
    std::uint64_t samples = 0;  // up to this bound and above the one before
  };
  void histogram(std::string_view name, std::string_view help, std::span<const Bucket> buckets,
                 double sum);

  std::string take() { return std::exchange(text_, {}); }

 private:
  void begin_sample(Labels labels);

  std::string text_;
  std::string name_;
};

}  // namespace turnpike::server
