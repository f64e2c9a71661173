// /stats below the page: what is kept for the last hour, who may see it, and how it is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/history.h"
#include "server/stats_desk.h"
#include "server/stats_pass.h"

namespace turnpike::server {
namespace {

using signaling::ConnectionHandle;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

Sample sample(std::uint64_t allocations, std::size_t workers = 1) {
  Sample made;
  made.allocations = allocations;
  made.workers.assign(workers, WorkerLoad{500, static_cast<std::uint32_t>(allocations)});
  return made;
}

TEST(History, ARowHasTheTimeThenOneFigureForEachNameThenTheWorkers) {
  History history(2);
  Sample one = sample(7, 2);
  one.rooms = 3;
  one.drops.back() = 11;
  one.auth_failures.back() = 13;
  history.add(milliseconds(1234), one);
  EXPECT_EQ(history.row(0),
            "[1234,7,3,0,0,0,0,0,0,0,0,0,0,0,0,0,0,11,0,0,0,0,13,[[500,7],[500,7]]]");
  EXPECT_THAT(History::names(), StartsWith("[\"allocations\",\"rooms\",\"members\""));
  EXPECT_THAT(History::names(), HasSubstr("\"dropped_backpressure\",\"auth_unknown_user\""));
  const std::string names = History::names();
  EXPECT_EQ(std::count(names.begin(), names.end(), ',') + 1,
            static_cast<std::ptrdiff_t>(History::kFixed));
}

TEST(History, KeepsOneHourAndForgetsTheOldestRow) {
  History history(1);
  for (std::uint64_t i = 0; i < History::kSamples; ++i) history.add(milliseconds(i), sample(i));
  EXPECT_EQ(history.begin(), 0u);
  EXPECT_THAT(history.row(0), StartsWith("[0,0,"));
  history.add(milliseconds(9999), sample(9999));
  EXPECT_EQ(history.begin(), 1u);
  EXPECT_EQ(history.end(), History::kSamples + 1);
  EXPECT_THAT(history.row(1), StartsWith("[1,1,"));
  EXPECT_THAT(history.row(History::kSamples), StartsWith("[9999,9999,"));
  EXPECT_EQ(History::kInterval * History::kSamples, hours(1));
}

class Outlet final : public signaling::Outlet {
 public:
  struct Line {
    std::string text;
    std::size_t waiting = 0;
    bool reads = true;
    bool closed = false;
  };
  std::size_t write(ConnectionHandle connection, ByteView bytes) override {
    Line& line = lines[connection.pack()];
    line.text.append(as_text(bytes));
    if (!line.reads) line.waiting += bytes.size();
    return line.waiting;
  }
  void close(ConnectionHandle connection) override { lines[connection.pack()].closed = true; }
  void read_file(ConnectionHandle, signaling::Folder, std::string_view) override {}

  std::map<std::uint64_t, Line> lines;
};

constexpr std::string_view kToken = "a-token-for-operators";

struct Desk final : signaling::Routes {
  explicit Desk(std::string_view token = "", StatsDesk::Port port = StatsDesk::Port::kMonitoring)
      : pass(std::string(token), random),
        carrier({}, *this),
        desk({carrier, history, pass, "1.0", "run", port}) {}
  void on_request(Tick tick, ConnectionHandle connection, const signaling::Visit& visit) override {
    desk.on_request(tick, connection, visit);
  }
  ConnectionHandle ask(std::string_view request, std::string_view headers = {},
                       std::string_view from = "192.0.2.7:4000", bool secure = false) {
    const auto connection = carrier.on_connected(
        now, {*Address::parse(from), *Address::parse("192.0.2.1:9641"), secure});
    const std::string text =
        std::string(request) + " HTTP/1.1\r\nHost: a\r\n" + std::string(headers) + "\r\n";
    carrier.on_bytes(now, connection, as_bytes(text), outlet);
    return connection;
  }
  std::string answer(std::string_view request, std::string_view headers = {},
                     std::string_view from = "192.0.2.7:4000", bool secure = false) {
    return take(ask(request, headers, from, secure));
  }
  std::string take(ConnectionHandle connection) {
    return std::exchange(outlet.lines[connection.pack()].text, {});
  }
  bool closed(ConnectionHandle connection) { return outlet.lines[connection.pack()].closed; }
  void add(std::uint64_t allocations) {
    history.add(milliseconds(0), sample(allocations));
    if (carrier.next_deadline() <= now.mono) carrier.on_time(now, outlet);
  }
  static std::string bearer(std::string_view token) {
    return "Authorization: Bearer " + std::string(token) + "\r\n";
  }

  Tick now{MonoTime{seconds(1000)}, WallTime{seconds(1'700'000'000)}};
  SeededRandom random{1};
  Outlet outlet;
  History history{1};
  StatsPass pass;
  signaling::Carrier carrier;
  StatsDesk desk;
};

TEST(Stats, AListenerIsToldWhatIsKeptThenEachNewRow) {
  Desk stats;
  stats.add(1);
  stats.add(2);
  const auto listener = stats.ask("GET /stats/events");
  const std::string begun = stats.take(listener);
  EXPECT_THAT(begun, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(begun, HasSubstr("Content-Type: text/event-stream\r\n"));
  EXPECT_THAT(begun, HasSubstr("Cache-Control: no-store\r\n"));
  EXPECT_THAT(begun, Not(HasSubstr("Content-Length")));
  EXPECT_THAT(begun, HasSubstr("\r\n\r\nretry: 3000\nevent: hello\ndata: {\"version\":\"1.0\""));
  EXPECT_THAT(begun, HasSubstr("id: run-0\ndata: [0,1,"));
  EXPECT_THAT(begun, HasSubstr("id: run-1\ndata: [0,2,"));
  stats.add(3);
  EXPECT_THAT(stats.take(listener), StartsWith("id: run-2\ndata: [0,3,"));
  EXPECT_FALSE(stats.closed(listener));
}

TEST(Stats, WhoeverComesBackIsToldWhatItMissed) {
  Desk stats;
  for (std::uint64_t i = 0; i < 4; ++i) stats.add(i);
  const std::string missed = stats.answer("GET /stats/events", "Last-Event-ID: run-1\r\n");
  EXPECT_THAT(missed, Not(HasSubstr("id: run-1\n")));
  EXPECT_THAT(missed, HasSubstr("id: run-2\n"));
  EXPECT_THAT(missed, HasSubstr("id: run-3\n"));
  // Rows of another run, or of none, say nothing about ours.
  for (const char* id : {"other-1", "run-9", "run-", "-", "run-18446744073709551615", "nonsense"}) {
    const std::string all =
        stats.answer("GET /stats/events", "Last-Event-ID: " + std::string(id) + "\r\n");
    EXPECT_THAT(all, HasSubstr("id: run-0\n")) << id;
  }
}

TEST(Stats, OneListenerMoreThanTheMostIsTurnedAwayUntilAnotherLeaves) {
  Desk stats;
  std::vector<ConnectionHandle> listeners;
  for (std::size_t i = 0; i < StatsDesk::kMaxListeners; ++i) {
    listeners.push_back(stats.ask("GET /stats/events"));
    EXPECT_THAT(stats.take(listeners.back()), StartsWith("HTTP/1.1 200 "));
  }
  EXPECT_THAT(stats.answer("GET /stats/events"), StartsWith("HTTP/1.1 503 "));
  stats.carrier.on_disconnected(stats.now, listeners.front(), stats.outlet);
  EXPECT_THAT(stats.answer("GET /stats/events"), StartsWith("HTTP/1.1 200 "));
}

TEST(Stats, AListenerThatTakesNothingIsCutAndOthersAreNot) {
  Desk stats;
  stats.add(0);
  const auto deaf = stats.ask("GET /stats/events");
  const auto slow = stats.ask("GET /stats/events");
  const auto quick = stats.ask("GET /stats/events");
  stats.outlet.lines[deaf.pack()].reads = false;
  stats.outlet.lines[slow.pack()].reads = false;
  for (std::uint64_t i = 0; i <= StatsDesk::kMaxUnread + 1; ++i) {
    EXPECT_FALSE(i < StatsDesk::kMaxUnread && stats.closed(deaf)) << i;
    stats.add(i);
    stats.outlet.lines[slow.pack()].waiting /= 2;
  }
  EXPECT_TRUE(stats.closed(deaf));
  EXPECT_FALSE(stats.closed(slow));
  EXPECT_FALSE(stats.closed(quick));
}

TEST(Stats, WithoutATokenEverybodyMayLook) {
  Desk stats;
  EXPECT_THAT(stats.answer("GET /stats/session"), StartsWith("HTTP/1.1 204 "));
  EXPECT_THAT(stats.answer("GET /stats"), HasSubstr("Content-Security-Policy: default-src 'self'"));
  EXPECT_THAT(stats.answer("POST /stats"), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(stats.answer("PUT /stats/session"), StartsWith("HTTP/1.1 405 "));
}

TEST(Stats, ATokenIsAskedForTheFiguresAndNotForThePage) {
  Desk stats(kToken);
  stats.add(1);
  EXPECT_THAT(stats.answer("GET /stats"), StartsWith("HTTP/1.1 200 "));
  for (const char* path : {"GET /stats/events", "GET /stats/session"}) {
    EXPECT_THAT(stats.answer(path), StartsWith("HTTP/1.1 401 "));
    EXPECT_THAT(stats.answer(path, stats.bearer("wrong")), StartsWith("HTTP/1.1 401 "));
    EXPECT_THAT(stats.answer(path, stats.bearer(kToken)), StartsWith("HTTP/1.1 20"));
    // Not from an address, which stands in logs and histories.
    const std::string asked = std::string(path) + "?token=" + std::string(kToken);
    EXPECT_THAT(stats.answer(asked), StartsWith("HTTP/1.1 401 "));
  }
}

std::string cookie_in(const std::string& answer) {
  const std::size_t at = answer.find("Set-Cookie: ") + 12;
  return answer.substr(at, answer.find("\r\n", at) - at);
}

TEST(Stats, TheTokenIsExchangedForACookieThatNoScriptAndNoOtherSiteCanUse) {
  Desk stats(kToken);
  EXPECT_THAT(stats.answer("POST /stats/session", stats.bearer("wrong")),
              Not(HasSubstr("Set-Cookie")));
  const std::string cookie = cookie_in(stats.answer("POST /stats/session", stats.bearer(kToken)));
  EXPECT_THAT(cookie, HasSubstr("; Path=/stats; HttpOnly; SameSite=Strict; Max-Age=43200"));
  EXPECT_THAT(cookie, Not(HasSubstr(std::string(kToken))));
  EXPECT_THAT(cookie, Not(HasSubstr("Secure")));
  const std::string header = "Cookie: a=b; " + cookie.substr(0, cookie.find(';')) + "; c=d\r\n";
  EXPECT_THAT(stats.answer("GET /stats/events", header), StartsWith("HTTP/1.1 200 "));
  std::string other = header;
  other[other.find('.') + 5] ^= 1;
  EXPECT_THAT(stats.answer("GET /stats/events", other), StartsWith("HTTP/1.1 401 "));
  stats.now.wall = stats.now.wall + (StatsPass::kLife - seconds(1));
  EXPECT_THAT(stats.answer("GET /stats/session", header), StartsWith("HTTP/1.1 204 "));
  stats.now.wall = stats.now.wall + seconds(1);
  EXPECT_THAT(stats.answer("GET /stats/session", header), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(cookie_in(stats.answer("DELETE /stats/session")), HasSubstr("; Max-Age=0"));
}

TEST(Stats, OverTlsTheCookieStaysInTls) {
  Desk stats(kToken, StatsDesk::Port::kPublic);
  const std::string answer =
      stats.answer("POST /stats/session", stats.bearer(kToken), "192.0.2.7:4000", true);
  EXPECT_THAT(cookie_in(answer), ::testing::EndsWith("; Secure"));
}

TEST(Stats, OnAPublicPortNothingIsToldWithoutTls) {
  Desk stats(kToken, StatsDesk::Port::kPublic);
  EXPECT_THAT(stats.answer("GET /stats"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(stats.answer("POST /stats/session", stats.bearer(kToken)),
              StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(stats.answer("GET /stats", {}, "127.0.0.1:4000"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(stats.answer("GET /stats", {}, "192.0.2.7:4000", true), StartsWith("HTTP/1.1 200 "));
}

TEST(Stats, WhoeverGuessesTokensIsNotHeardForAWhile) {
  Desk stats(kToken);
  const std::string session = "POST /stats/session";
  for (std::uint32_t i = 0; i < StatsPass::kFailureRate.burst; ++i) {
    EXPECT_THAT(stats.answer(session, stats.bearer("guess")), StartsWith("HTTP/1.1 401 "));
  }
  EXPECT_THAT(stats.answer(session, stats.bearer("guess")), StartsWith("HTTP/1.1 429 "));
  EXPECT_THAT(stats.answer(session, stats.bearer(kToken)), StartsWith("HTTP/1.1 429 "));
  stats.now.mono = stats.now.mono + StatsPass::kFailureRate.per_token;
  EXPECT_THAT(stats.answer(session, stats.bearer(kToken)), StartsWith("HTTP/1.1 204 "));
}

}  // namespace
}  // namespace turnpike::server
