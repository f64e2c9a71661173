#include "tools/load/turn_load_options.h"

#include <CLI/CLI.hpp>
#include <map>

namespace turnpike::load {
namespace {

constexpr const char* kAbout =
    R"(Load on a STUN/TURN server, verified and measured.

Modes:
  binding  Binding requests from --clients sockets, --concurrency at a time on each
  setup    whole set-ups: 401, Allocate, CreatePermission, ChannelBind, Refresh 0
  relay    packets through --allocations allocations, each with a number and a checksum
  idle     holds --allocations allocations with permission and channel

Saturated relaying keeps --window packets under way in each direction; --pace sends at a fixed
rate. The server's CPU time is the run time of all its threads in /proc/PID/task/*/schedstat,
divided by what was delivered in the same time, so pin server and generator to different CPUs
with taskset. Load only servers of your own.)";

constexpr const char* kFooter = R"(
Exit codes: 0 all is well; 1 something was corrupt, duplicated, misrouted, or could not be set up;
2 a mistake in the options; 3 the server cannot be reached or nothing was delivered.

Examples:
  turnpike-load relay --server 127.0.0.1:3478 --user load --password load --server-pid 4711
  turnpike-load relay --allocations 1000 --size 160 --pace 50000 --seconds 10 --json
  turnpike-load relay --size 1200 --burst 8 --trains --allocations 10
  turnpike-load relay --transport tls --size 1200
  turnpike-load idle --allocations 10000 --server-pid 4711)";

Expected<Address> parse_address(const std::string& text) {
  const auto address = Address::parse(text);
  if (!address) return failure("not an address with a port: " + text);
  return *address;
}

struct Texts {
  std::string server = "127.0.0.1:3478", client_ip = "127.0.0.3", peer_ip = "127.0.0.4";
};

void add_target(CLI::App& app, Options& options, Texts& texts) {
  const std::map<std::string, Transport> transports{{"udp", Transport::kUdp},
                                                    {"tcp", Transport::kTcp},
                                                    {"tls", Transport::kTls},
                                                    {"dtls", Transport::kDtls}};
  app.add_option("--server", texts.server, "Address and port of the server")->capture_default_str();
  app.add_option("--user", options.user, "User name")->capture_default_str();
  app.add_option("--password", options.password, "Password")->capture_default_str();
  app.add_option("--transport", options.transport,
                 "udp, tcp, tls or dtls between client and server")
      ->transform(CLI::CheckedTransformer(transports));
  app.add_option("--server-pid", options.server_pid,
                 "Process whose CPU time and memory are reported");
  app.add_option("--client-ip", texts.client_ip, "Address that clients use")->capture_default_str();
  app.add_option("--client-ips", options.client_ips, "That many addresses from --client-ip on")
      ->check(CLI::Range(1, 250))
      ->capture_default_str();
  app.add_option("--peer-ip", texts.peer_ip, "Address of the peer")->capture_default_str();
  app.add_option("--seconds", options.seconds, "How long to measure")
      ->check(CLI::Range(0.1, kMaxSeconds))
      ->capture_default_str();
  app.add_option("--warm-up", options.warm_up, "Seconds of load before that")
      ->check(CLI::Range(0.0, kMaxSeconds))
      ->capture_default_str();
  app.add_flag("--json", options.json, "Print the result as JSON; progress goes to stderr");
}

void add_load(CLI::App& app, Options& options) {
  const std::map<std::string, Framing> framings{{"channel", Framing::kChannel},
                                                {"indication", Framing::kIndication}};
  const std::map<std::string, Directions> directions{
      {"both", Directions::kBoth}, {"up", Directions::kUp}, {"down", Directions::kDown}};
  app.add_option("--allocations,--clients", options.allocations, "Allocations, or client sockets")
      ->check(CLI::Range(1u, kMaxAllocations))
      ->capture_default_str();
  app.add_option("--idle-beside", options.idle_beside, "Further allocations that carry nothing")
      ->check(CLI::Range(0u, kMaxAllocations));
  app.add_option("--framing", options.framing, "channel (ChannelData) or indication (Send, Data)")
      ->transform(CLI::CheckedTransformer(framings));
  app.add_option("--directions", options.directions, "both, up (to the peer) or down")
      ->transform(CLI::CheckedTransformer(directions));
  app.add_option("--size", options.size, "Bytes of payload")
      ->check(CLI::Range(kMinPayload, kMaxPayload))
      ->capture_default_str();
  app.add_option("--burst", options.burst, "Packets of one allocation in a row")
      ->check(CLI::Range(1u, kMaxBurst))
      ->capture_default_str();
  app.add_flag("--trains", options.trains, "Bursts travel as trains, as from a NIC with GRO");
  app.add_option("--pace", options.pace, "Packets a second, both directions together; 0 saturates")
      ->check(CLI::Range(0.0, 1e7));
  app.add_option("--window", options.window, "Packets under way in each direction when saturated")
      ->check(CLI::Range(1u, kMaxWindow))
      ->capture_default_str();
  app.add_flag("--short-cut", options.short_cut, "Peers are allocations of the same server");
  app.add_flag("--floor", options.floor, "The server is a minimal forwarder of bench/macro");
  app.add_option("--concurrency", options.concurrency, "Set-ups, or Bindings of a socket, at once")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
}

Expected<Options> finish(Options options, const Texts& texts) {
  const auto server = parse_address(texts.server);
  if (!server) return unexpected(server.error());
  options.server = *server;
  const auto client = IpAddress::parse(texts.client_ip), peer = IpAddress::parse(texts.peer_ip);
  if (!client || !peer) return failure("--client-ip and --peer-ip take an IP address");
  if (client->family() != server->family()) return failure("--client-ip has the wrong family");
  options.client_ip = *client;
  options.peer_ip = *peer;
  if (options.short_cut && options.floor) return failure("a floor has no short-cut");
  if (options.floor && options.framing == Framing::kIndication) {
    return failure("a floor knows no indications");
  }
  if (options.mode == Mode::kBinding && options.transport != Transport::kUdp) {
    return failure("binding goes over UDP");
  }
  if (options.burst > options.window) options.window = options.burst;
  return options;
}

}  // namespace

Parsed parse_options(int argc, char** argv) {
  Options options;
  Texts texts;
  CLI::App app(kAbout, "turnpike-load");
  app.footer(kFooter);
  const std::map<std::string, Mode> modes{{"binding", Mode::kBinding},
                                          {"setup", Mode::kSetup},
                                          {"relay", Mode::kRelay},
                                          {"idle", Mode::kIdle}};
  app.add_option("mode", options.mode, "binding, setup, relay or idle")
      ->required()
      ->transform(CLI::CheckedTransformer(modes));
  add_target(app, options, texts);
  add_load(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return {std::nullopt, app.exit(error) == 0 ? 0 : 2};
  }
  const auto finished = finish(options, texts);
  if (finished) return {*finished, 0};
  std::fprintf(stderr, "turnpike-load: %s\n", finished.error().message.c_str());
  return {std::nullopt, 2};
}

std::string_view name_of(Mode mode) {
  switch (mode) {
    case Mode::kBinding:
      return "binding";
    case Mode::kSetup:
      return "setup";
    case Mode::kRelay:
      return "relay";
    case Mode::kIdle:
      return "idle";
  }
  return "";
}

}  // namespace turnpike::load
