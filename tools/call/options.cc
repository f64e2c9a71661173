#include "tools/call/options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <map>

namespace turnpike::call {
namespace {

using ice::Gatherer;

constexpr const char* kAbout =
    R"(Makes whole calls through a server and says how good they are.

A call is two endpoints in one room. Each joins by signaling, gathers candidates with the
iceServers that it is given, connects by ICE, agrees on keys by DTLS-SRTP, and sends audio as Opus
would (64 kbit/s) and video as VP8 would (30 frames a second); every packet that
arrives is verified. One process drives hundreds of calls. Load only servers of your own.

With --join one endpoint alone enters a room and talks with whoever is there: the server's own
echo (--join echo), a browser, or another turnpike-call.)";

constexpr const char* kFooter = R"(
Set-up is from connecting to the server until media has arrived at both sides. Delay is one way
(with --join: there and back). MOS is an estimate by the E-model (ITU-T G.107) from delay, jitter
and loss of the audio.

Exit codes: 0 no call failed; 1 some did (the causes are printed); 2 a mistake in the options.

Examples:
  turnpike-call --server http://127.0.0.1:3478 --key KEY --calls 10
  turnpike-call --server https://turn.example.org:5349 --key KEY --policy relay --transport tls
  turnpike-call --server ws://127.0.0.1:3478 --key KEY --calls 200 --rate 20/s --duration 30s \
                --policy relay --video off --json --svg calls.svg
  turnpike-call --server https://turn.example.org:5349 --key KEY --join echo)";

// The number at the front of `text`, which loses it.
std::optional<double> take_number(std::string_view& text) {
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc{} || !std::isfinite(value) || value < 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(result.ptr - text.data()));
  return value;
}

std::string in_quotes(std::string_view text) { return "\"" + std::string(text) + "\""; }

struct Texts {
  std::string server, duration = "10s", time_limit = "20s", rate = "20/s", video = "500k",
                      ptime = "20", from;
  std::vector<std::string> ice_urls;
  std::string username, credential;
  bool no_verify = false;
};

void add_server(CLI::App& app, Options& options, Texts& texts) {
  app.add_option("--server", texts.server, "http, https, ws or wss URL of the signaling server")
      ->required();
  app.add_option("--key", options.key,
                 "API key of the server: gets the invitations that bring iceServers");
  app.add_option("--invitation", options.invitation,
                 "An invitation to the room, in place of --key");
  const std::map<std::string, Dialect> dialects{{"native", Dialect::kNative},
                                                {"socketio", Dialect::kSocketIo}};
  app.add_option("--signaling", options.dialect,
                 "native, or socketio: rooms of two as Socket.IO 1.x and 2.x clients speak")
      ->transform(CLI::CheckedTransformer(dialects).description(""));
  app.add_option("--join", options.join, "One endpoint only, which enters this room of others");
  app.add_option("--ca", options.ca_file, "PEM file of the authorities that TLS trusts");
  app.add_flag("--no-verify-tls", texts.no_verify, "Trust every certificate");
}

void add_load(CLI::App& app, Options& options, Texts& texts) {
  app.add_option("--calls", options.calls, "How many calls")
      ->check(CLI::Range(1u, kMaxCalls))
      ->capture_default_str();
  app.add_option("--rate", texts.rate, "Calls begun in a time: 20/s, 90/m")->capture_default_str();
  app.add_option("--duration", texts.duration, "How long each call talks: 30s, 2m")
      ->capture_default_str();
  app.add_option("--timeout", texts.time_limit, "How long a set-up may take")
      ->capture_default_str();
  app.add_option("--redial", options.redials,
                 "Set a call that failed up again, so often in a row, after half a second and "
                 "then twice as long each time, up to 8 s; it talks for what was left of its time")
      ->check(CLI::Range(0u, kMaxRedials))
      ->capture_default_str();
  app.add_option("--video", texts.video, "Bits a second of video (500k, 2m), or off")
      ->capture_default_str();
  app.add_option("--ptime", texts.ptime,
                 "Milliseconds of sound in a packet: 20, 40, 60, 80, 100 or 120")
      ->capture_default_str();
}

void add_network(CLI::App& app, Options& options, Texts& texts) {
  const std::map<std::string, Gatherer::Policy> policies{{"all", Gatherer::Policy::kAll},
                                                         {"relay", Gatherer::Policy::kRelay}};
  const std::map<std::string, load::Transport> transports{{"udp", load::Transport::kUdp},
                                                          {"tcp", load::Transport::kTcp},
                                                          {"tls", load::Transport::kTls}};
  app.add_option("--policy", options.policy, "all: the straightest way; relay: never without one")
      ->transform(CLI::CheckedTransformer(policies).description(""));
  app.add_option("--transport", options.transport, "udp, tcp or tls between endpoint and relay")
      ->transform(CLI::CheckedTransformer(transports).description(""));
  app.add_option("--ice-server", texts.ice_urls,
                 "STUN or TURN URL in place of what signaling brings (repeatable): "
                 "turn:host:3478?transport=udp");
  app.add_option("--username", texts.username, "User name for --ice-server");
  app.add_option("--credential", texts.credential, "Password for --ice-server");
  app.add_option("--from", texts.from, "Address that all sockets are bound to");
}

void add_output(CLI::App& app, Options& options) {
  app.add_flag("--json", options.json, "Print the result as JSON");
  app.add_option("--svg", options.svg, "Write a plot of the run to this file");
}

Expected<void> finish_values(Options& options, const Texts& texts) {
  const auto server = parse_origin(texts.server);
  if (!server) return failure("--server: " + server.error().message);
  options.server = *server;
  const auto duration = parse_duration(texts.duration), limit = parse_duration(texts.time_limit);
  if (!duration) return failure("--duration: " + duration.error().message);
  if (!limit) return failure("--timeout: " + limit.error().message);
  options.duration = *duration;
  options.time_limit = *limit;
  const auto rate = parse_rate(texts.rate);
  if (!rate) return failure("--rate: " + rate.error().message);
  options.rate = *rate;
  const auto video = parse_bitrate(texts.video);
  if (!video) return failure("--video: " + video.error().message);
  options.video_bitrate = *video;
  const auto interval = parse_audio_interval(texts.ptime);
  if (!interval) return failure("--ptime: " + interval.error().message);
  options.audio_interval = *interval;
  if (!texts.from.empty()) {
    options.from = IpAddress::parse(texts.from);
    if (!options.from) return failure("--from takes an IP address, not " + in_quotes(texts.from));
  }
  for (const std::string& url : texts.ice_urls) {
    const auto parsed = ice::parse_server_url(url);
    if (!parsed) return failure("--ice-server: " + parsed.error().message);
    options.ice_servers.push_back({url, texts.username, texts.credential});
  }
  options.verify_tls = !texts.no_verify;
  return {};
}

Expected<void> finish(Options& options, const Texts& texts) {
  const auto values = finish_values(options, texts);
  if (!values) return values;
  if (!options.key.empty() && !options.invitation.empty()) {
    return failure("--key and --invitation are two ways of the same: give one");
  }
  if (!options.invitation.empty() && options.join.empty()) {
    return failure("--invitation is for one room: name it with --join");
  }
  if (!options.join.empty() && options.calls != 1) {
    return failure("--join is one endpoint: it goes without --calls");
  }
  if (!options.ca_file.empty() && !options.verify_tls) {
    return failure("--ca and --no-verify-tls contradict each other");
  }
  if (options.ice_servers.empty() && !(texts.username + texts.credential).empty()) {
    return failure("--username and --credential are for --ice-server");
  }
  for (const char c : options.key) {
    if (c <= ' ' || c > '~') return failure("--key has characters that no key has");
  }
  return {};
}

}  // namespace

Expected<Origin> parse_origin(std::string_view text) {
  const std::string_view whole = text;
  const std::pair<std::string_view, bool> schemes[] = {
      {"http://", false}, {"https://", true}, {"ws://", false}, {"wss://", true}};
  for (const auto& [scheme, tls] : schemes) {
    if (!text.starts_with(scheme)) continue;
    text.remove_prefix(scheme.size());
    const std::size_t slash = text.find('/');
    if (slash != std::string_view::npos && slash + 1 != text.size()) {
      return failure(in_quotes(whole) + " names a path; signaling has its own");
    }
    text = text.substr(0, slash);
    Origin origin{.tls = tls, .port = static_cast<std::uint16_t>(tls ? 443 : 80)};
    origin.authority = text;
    // The same rules as for the host and port of a TURN URL.
    const auto parsed = ice::parse_server_url("turn:" + std::string(text));
    if (!parsed || text.find('?') != std::string_view::npos) {
      return failure(in_quotes(whole) + " must name a host, and a port or none");
    }
    origin.host = parsed->host;
    const std::size_t bracket = text.rfind(']');
    const std::size_t colon = text.rfind(':');
    const bool has_port =
        colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
    if (has_port) origin.port = parsed->port;
    return origin;
  }
  return failure(in_quotes(whole) + " must begin with http://, https://, ws:// or wss://");
}

Expected<Duration> parse_duration(std::string_view text) {
  const std::string_view whole = text;
  const auto number = take_number(text);
  const std::map<std::string_view, double> units{
      {"", 1}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}};
  const auto unit = units.find(text);
  constexpr double kLongest = 24 * 3600;
  if (number && unit != units.end()) {
    const double length = *number * unit->second;
    if (length >= 0.1 && length <= kLongest) {
      return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(length));
    }
  }
  return failure(in_quotes(whole) + " is no time from 100ms to 24h, such as 30s or 2m");
}

Expected<double> parse_rate(std::string_view text) {
  const std::string_view whole = text;
  const auto number = take_number(text);
  constexpr double kMost = 1000;
  const double per_second = text == "/m" ? number.value_or(0) / 60 : number.value_or(0);
  if (number && (text.empty() || text == "/s" || text == "/m") && per_second > 0 &&
      per_second <= kMost) {
    return per_second;
  }
  return failure(in_quotes(whole) + " is no rate up to 1000/s, such as 20/s or 90/m");
}

Expected<unsigned> parse_bitrate(std::string_view text) {
  if (text == "off") return 0u;
  const std::string_view whole = text;
  const auto number = take_number(text);
  const double factor = text == "k" || text == "K" ? 1e3 : text == "m" || text == "M" ? 1e6 : 1;
  constexpr double kLeast = 10'000;
  if (number && (text.empty() || factor > 1)) {
    const double bits = *number * factor;
    if (bits >= kLeast && bits <= kMaxVideoBitrate) return static_cast<unsigned>(bits);
  }
  return failure(in_quotes(whole) + " is neither off nor a bit rate from 10k to 20m");
}

Expected<milliseconds> parse_audio_interval(std::string_view text) {
  for (const milliseconds interval : kAudioIntervals) {
    if (text == std::to_string(interval.count())) return interval;
  }
  return failure(in_quotes(text) + " is none of 20, 40, 60, 80, 100 and 120");
}

Parsed parse_options(int argc, const char* const* argv) {
  Options options;
  Texts texts;
  CLI::App app(kAbout, "turnpike-call");
  app.footer(kFooter);
  add_server(app, options, texts);
  add_load(app, options, texts);
  add_network(app, options, texts);
  add_output(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return {std::nullopt, app.exit(error) == 0 ? 0 : kExitMistake};
  }
  const auto finished = finish(options, texts);
  if (finished) return {options, 0};
  std::fprintf(stderr, "turnpike-call: %s\n", finished.error().message.c_str());
  return {std::nullopt, kExitMistake};
}

}  // namespace turnpike::call
