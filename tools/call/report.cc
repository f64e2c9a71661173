#include "tools/call/report.h"

#include <fmt/format.h>

#include <cmath>

#include <nlohmann/json.hpp>

namespace turnpike::call {
namespace {

using nlohmann::json;

double milliseconds_of(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }
// Three digits behind the point say all that was measured.
double round3(double value) { return static_cast<double>(std::llround(value * 1e3)) / 1e3; }
double round6(double value) { return static_cast<double>(std::llround(value * 1e6)) / 1e6; }

json or_null(const std::optional<double>& value) {
  return value ? json(round3(*value)) : json(nullptr);
}

json percentiles(const std::vector<double>& sorted) {
  if (sorted.empty()) return nullptr;
  return {{"min", round3(sorted.front())},
          {"p50", round3(percentile_of(sorted, 0.5))},
          {"p90", round3(percentile_of(sorted, 0.9))},
          {"p95", round3(percentile_of(sorted, 0.95))},
          {"p99", round3(percentile_of(sorted, 0.99))},
          {"max", round3(sorted.back())}};
}

json json_of(const StreamRecord& stream) {
  const Received& received = stream.received;
  return {{"to", stream.to},
          {"kind", name_of(stream.kind)},
          {"sent", stream.sent},
          {"received", received.packets},
          {"lost", stream.lost()},
          {"loss", round6(stream.loss())},
          {"duplicated", received.duplicated},
          {"reordered", received.reordered},
          {"corrupt", received.corrupt},
          {"misrouted", received.misrouted},
          {"jitter_ms", round3(received.jitter_ns / 1e6)},
          {"delay_ms",
           {{"mean", round3(received.delay_ms())},
            {"max", round3(milliseconds_of(received.delay_max_ns))}}}};
}

json json_of(const CallRecord& record) {
  json streams = json::array();
  for (const StreamRecord& stream : record.streams) streams.push_back(json_of(stream));
  json call = {{"call", record.number},
               {"failed", record.failed},
               {"redials", record.redials},
               {"setup_ms", or_null(record.phases.media)},
               {"joined_ms", or_null(record.phases.joined)},
               {"ice_ms", or_null(record.phases.selected)},
               {"dtls_ms", or_null(record.phases.connected)},
               {"path", record.path},
               {"srtp", record.profile},
               {"loss", round6(record.loss())},
               {"jitter_ms", round3(record.jitter_ms())},
               {"delay_ms", round3(record.delay_ms())},
               {"mos", or_null(record.mos())},
               {"rtcp_round_trip_ms", or_null(record.round_trip_ms)},
               {"streams", std::move(streams)}};
  if (record.failed) call["cause"] = record.cause;
  for (const ForeignRecord& one : record.foreign) {
    call["partner"].push_back(
        {{"received", one.packets}, {"lost", one.lost}, {"jitter_ms", round3(one.jitter_ms)}});
  }
  return call;
}

json total_of(const Totals& totals) {
  const std::vector<double> moses = totals.moses();
  double sum = 0;
  for (const double mos : moses) sum += mos;
  const load::Histogram& delay = totals.delay();
  json total = {{"calls", totals.calls()},
                {"failed", totals.failed()},
                {"failures", totals.causes()},
                {"redialled", totals.redialled()},
                {"recovered", totals.recovered()},
                {"setup_ms", percentiles(totals.phase(&Phases::media))},
                {"joined_ms", percentiles(totals.phase(&Phases::joined))},
                {"ice_ms", percentiles(totals.phase(&Phases::selected))},
                {"dtls_ms", percentiles(totals.phase(&Phases::connected))},
                {"paths", totals.paths()},
                {"sent", totals.sent()},
                {"lost", totals.lost()},
                {"loss", round6(totals.loss())},
                {"corrupt", totals.corrupt()},
                {"duplicated", totals.duplicated()},
                {"reordered", totals.reordered()},
                {"jitter_ms", round3(totals.jitter_ms())},
                {"delay_ms", nullptr},
                {"mos", nullptr},
                {"mos_min", nullptr},
                {"caller_late_ms", round3(totals.late_ms())}};
  if (delay.count() > 0) {
    total["delay_ms"] = {{"mean", round3(milliseconds_of(delay.mean()))},
                         {"p50", round3(milliseconds_of(delay.percentile(0.5)))},
                         {"p90", round3(milliseconds_of(delay.percentile(0.9)))},
                         {"p99", round3(milliseconds_of(delay.percentile(0.99)))},
                         {"p99.9", round3(milliseconds_of(delay.percentile(0.999)))},
                         {"max", round3(milliseconds_of(delay.max()))}};
  }
  if (!moses.empty()) {
    total["mos"] = round3(sum / static_cast<double>(moses.size()));
    total["mos_min"] = round3(moses.front());
  }
  return total;
}

std::string policy_of(const Options& options) {
  return options.policy == ice::Gatherer::Policy::kRelay ? "relay" : "all";
}

double seconds_of(Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string row(std::string_view label, const std::string& text) {
  return fmt::format("{:<18}{}\n", label, text);
}

std::string percentile_row(std::string_view label, const std::vector<double>& sorted) {
  if (sorted.empty()) return "";
  return row(label, fmt::format("p50 {:.0f}  p90 {:.0f}  p99 {:.0f}  max {:.0f} ms",
                                percentile_of(sorted, 0.5), percentile_of(sorted, 0.9),
                                percentile_of(sorted, 0.99), sorted.back()));
}

std::string list_of(const std::map<std::string, unsigned>& counts) {
  std::string text;
  for (const auto& [name, count] : counts) {
    text += fmt::format("{}{} ({})", text.empty() ? "" : "; ", name, count);
  }
  return text;
}

std::string media_rows(const Totals& totals) {
  std::string text;
  if (totals.sent() > 0) {
    text += row("loss", fmt::format("{:.3f} % ({} of {} packets)", totals.loss() * 100,
                                    totals.lost(), totals.sent()));
    text += row("wrong", fmt::format("{} damaged, {} repeated, {} out of order", totals.corrupt(),
                                     totals.duplicated(), totals.reordered()));
  }
  const load::Histogram& delay = totals.delay();
  if (delay.count() > 0) {
    text += row(
        "one-way delay",
        fmt::format("p50 {:.2f}  p99 {:.2f}  p99.9 {:.2f}  max {:.2f} ms",
                    milliseconds_of(delay.percentile(0.5)), milliseconds_of(delay.percentile(0.99)),
                    milliseconds_of(delay.percentile(0.999)), milliseconds_of(delay.max())));
    text += row("jitter", fmt::format("{:.2f} ms", totals.jitter_ms()));
  }
  const std::vector<double> moses = totals.moses();
  if (!moses.empty()) {
    text += row("MOS (E-model)", fmt::format("median {:.2f}, worst {:.2f}",
                                             percentile_of(moses, 0.5), moses.front()));
  }
  if (totals.late_ms() > 20) {
    text += row("beware", fmt::format("this caller was up to {:.0f} ms behind its own schedule",
                                      totals.late_ms()));
  }
  return text;
}

// With strangers the delay is that of a packet's return, and what they send can only be counted.
std::string guest_rows(const Totals& totals) {
  std::string text;
  for (const CallRecord& record : totals.records()) {
    for (const ForeignRecord& one : record.foreign) {
      text += row("partner's stream", fmt::format("{} packets, {} lost, jitter {:.2f} ms",
                                                  one.packets, one.lost, one.jitter_ms));
    }
    if (record.round_trip_ms) {
      text += row("RTCP round trip", fmt::format("{:.2f} ms", *record.round_trip_ms));
    }
    if (record.streams.empty() && !record.failed) {
      text += row("returned", "nothing: the partner is no echo");
    }
  }
  return text;
}

}  // namespace

std::string json_of(const Options& options, const Totals& totals) {
  json calls = json::array();
  for (const CallRecord& record : totals.records()) calls.push_back(json_of(record));
  json timeline = json::array();
  for (const Second& second : totals.seconds()) {
    timeline.push_back({{"talking", second.talking},
                        {"sent", second.sent},
                        {"received", second.received},
                        {"delay_p50_ms", round3(second.delay_p50_ms)},
                        {"delay_p99_ms", round3(second.delay_p99_ms)},
                        {"late_ms", round3(second.late_ms)},
                        {"busy", round3(second.busy)}});
  }
  const json all = {{"server", options.server.authority},
                    {"signaling", name_of(options.dialect)},
                    {"policy", policy_of(options)},
                    {"transport", load::name_of(options.transport)},
                    {"rate", options.rate},
                    {"duration_s", seconds_of(options.duration)},
                    {"video_bitrate", options.video_bitrate},
                    {"ptime_ms", options.audio_interval.count()},
                    {"total", total_of(totals)},
                    {"timeline", std::move(timeline)},
                    {"calls", std::move(calls)}};
  return all.dump(2) + "\n";
}

std::string table_of(const Options& options, const Totals& totals) {
  std::string text =
      row("server", fmt::format("{} ({}), policy {}, transport {}", options.server.authority,
                                name_of(options.dialect), policy_of(options),
                                load::name_of(options.transport)));
  text += row("calls", fmt::format("{}, {} failed", totals.calls(), totals.failed()));
  for (const auto& [cause, count] : totals.causes()) {
    text += row("  failed", fmt::format("{} x {}", count, cause));
  }
  if (totals.redialled() > 0) {
    text +=
        row("redialled", fmt::format("{}, {} recovered", totals.redialled(), totals.recovered()));
  }
  text += percentile_row("set-up", totals.phase(&Phases::media));
  text += percentile_row("  in the room", totals.phase(&Phases::joined));
  text += percentile_row("  ICE", totals.phase(&Phases::selected));
  text += percentile_row("  DTLS", totals.phase(&Phases::connected));
  if (!totals.paths().empty()) text += row("paths", list_of(totals.paths()));
  text += media_rows(totals);
  if (!options.join.empty()) text += guest_rows(totals);
  return text;
}

}  // namespace turnpike::call
