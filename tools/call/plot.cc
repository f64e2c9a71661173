// The SVG of a run: four panels, each with its axes and one or two lines.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "tools/call/report.h"

namespace turnpike::call {
namespace {

constexpr double kWidth = 420, kHeight = 190, kGap = 70, kTop = 60;

struct Line {
  std::string name;
  const char* color;
  std::vector<double> values;  // evenly along the x axis
};
struct Panel {
  std::string title, x_label;
  double x_max = 1;
  std::vector<Line> lines;
};

// 1, 2 or 5 times a power of ten, at least `value`.
double round_up(double value) {
  if (value <= 0) return 1;
  const double power = std::pow(10, std::floor(std::log10(value)));
  for (const double step : {1.0, 2.0, 5.0, 10.0}) {
    if (step * power >= value) return step * power;
  }
  return value;
}

std::string text_at(double x, double y, const char* anchor, const std::string& text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                     text);
}

std::string draw(const Panel& panel, double left, double top) {
  double y_max = 0;
  for (const Line& line : panel.lines) {
    for (const double value : line.values) y_max = std::max(y_max, value);
  }
  y_max = round_up(y_max);
  std::string svg = fmt::format("<g><text class=\"title\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
                                left, top - 12, panel.title);
  for (int step = 0; step <= 4; ++step) {
    const double y = top + kHeight * (4 - step) / 4;
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", left, y,
        left + kWidth, y);
    svg += text_at(left - 6, y + 4, "end", fmt::format("{:g}", y_max * step / 4));
    svg += text_at(left + kWidth * step / 4, top + kHeight + 16, "middle",
                   fmt::format("{:.3g}", panel.x_max * step / 4));
  }
  svg += text_at(left + kWidth / 2, top + kHeight + 32, "middle", panel.x_label);
  double legend = left + kWidth;
  for (const Line& line : panel.lines) {
    std::string points;
    const double last = std::max<double>(1, static_cast<double>(line.values.size()) - 1);
    for (std::size_t i = 0; i < line.values.size(); ++i) {
      points += fmt::format("{:.1f},{:.1f} ", left + kWidth * static_cast<double>(i) / last,
                            top + kHeight * (1 - line.values[i] / y_max));
    }
    svg +=
        fmt::format("<polyline fill=\"none\" stroke=\"{}\" points=\"{}\"/>\n", line.color, points);
    svg +=
        fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\" fill=\"{}\">{}</text>\n",
                    legend, top - 12, line.color, line.name);
    legend -= 70;
  }
  return svg + "</g>\n";
}

// One value for each second of the run.
template <typename F>
std::vector<double> over_time(const Totals& totals, F&& f) {
  std::vector<double> values;
  for (const Second& second : totals.seconds()) values.push_back(f(second));
  return values;
}

double loss_percent(const Second& second) {
  if (second.sent <= second.received) return 0;
  return 100 * static_cast<double>(second.sent - second.received) /
         static_cast<double>(second.sent);
}

std::string escaped(std::string text) {
  std::string out;
  for (const char c : text) {
    out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  }
  return out;
}

}  // namespace

std::string plot_of(const Options& options, const Totals& totals) {
  const auto length = std::max<double>(1, static_cast<double>(totals.seconds().size()));
  const char *blue = "#1f6feb", *orange = "#d9730d";
  const Panel panels[] = {
      {"calls that talk",
       "seconds",
       length,
       {{"calls", blue, over_time(totals, [](const Second& s) { return double(s.talking); })}}},
      {"packets not there in their second, %",
       "seconds",
       length,
       {{"loss", orange, over_time(totals, loss_percent)}}},
      {"one-way delay, ms",
       "seconds",
       length,
       {{"p99", orange, over_time(totals, [](const Second& s) { return s.delay_p99_ms; })},
        {"median", blue, over_time(totals, [](const Second& s) { return s.delay_p50_ms; })}}},
      {"set-up time, ms",
       "percent of the calls",
       100,
       {{"media flows", blue, totals.phase(&Phases::media)},
        {"ICE", orange, totals.phase(&Phases::selected)}}}};
  const double width = 2 * (kWidth + kGap) + 30, height = kTop + 2 * (kHeight + kGap) + 30;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0f} {:.0f}\" width=\"{:.0f}\" "
      "height=\"{:.0f}\" font-family=\"sans-serif\" font-size=\"11\">\n"
      "<style>.grid{{stroke:#d0d7de}}.title{{font-size:13px}}polyline{{stroke-width:1.6}}</style>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      width, height, width, height);
  svg += fmt::format(
      "<text class=\"title\" x=\"{:.0f}\" y=\"22\">{}: {} calls, {} failed, loss "
      "{:.3f} %</text>\n",
      kGap, escaped(options.server.authority), totals.calls(), totals.failed(),
      totals.loss() * 100);
  for (std::size_t i = 0; i < std::size(panels); ++i) {
    const double left = kGap - 10 + static_cast<double>(i % 2) * (kWidth + kGap);
    const double top = kTop + static_cast<double>(i / 2) * (kHeight + kGap);
    svg += draw(panels[i], left, top);
  }
  return svg + "</svg>\n";
}

}  // namespace turnpike::call
