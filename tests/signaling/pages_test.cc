// Pages, assets, the operator's static folder, and the headers that protect them.
#include "signaling/assets.h"
#include "signaling/files.h"
#include "world.h"

namespace turnpike::signaling::testing {
namespace {

std::string text_of(const Asset& asset) { return std::string(as_text(asset.content)); }

TEST(Pages, StartPageAndCallPageAreEmbedded) {
  World world;
  const HttpAnswer start = world.get("/");
  EXPECT_EQ(start.status, 200);
  EXPECT_EQ(start.header("content-type"), "text/html; charset=utf-8");
  EXPECT_EQ(start.body, text_of(*find_asset("index.html")));
  const HttpAnswer call = world.get("/call/quiet-otter-42?relay=1");
  EXPECT_EQ(call.status, 200);
  EXPECT_EQ(call.body, text_of(*find_asset("call.html")));
  const HttpAnswer script = world.get("/assets/call.js");
  EXPECT_EQ(script.status, 200);
  EXPECT_TRUE(script.header("content-type").starts_with("text/javascript"));
  EXPECT_EQ(script.body, text_of(*find_asset("call.js")));
}

TEST(Pages, CarryTheHeadersThatProtectThem) {
  World world;
  for (const char* path : {"/", "/call/demo"}) {
    const HttpAnswer page = world.get(path);
    EXPECT_EQ(page.header("content-security-policy"),
              "default-src 'self'; script-src 'self'; style-src 'self'; connect-src 'self' ws: "
              "wss:; media-src 'self' blob:; img-src 'self' data: blob:; frame-ancestors 'none'; "
              "base-uri 'none'; form-action 'none'");
    EXPECT_EQ(page.header("x-content-type-options"), "nosniff");
    EXPECT_EQ(page.header("referrer-policy"), "no-referrer");
    EXPECT_EQ(page.header("cache-control"), "no-cache");
  }
  const HttpAnswer other = world.get("/healthz");
  EXPECT_EQ(other.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
  EXPECT_EQ(other.header("x-content-type-options"), "nosniff");
  EXPECT_EQ(other.header("date"), "Thu, 01 Jan 2026 00:00:00 GMT");
}

TEST(Pages, NeedNoScriptOrStyleInTheText) {
  // Our own policy would block them.
  for (const char* name : {"index.html", "call.html"}) {
    const std::string text = text_of(*find_asset(name));
    EXPECT_EQ(text.find(" style="), std::string::npos) << name;
    EXPECT_EQ(text.find("<style"), std::string::npos) << name;
    EXPECT_EQ(text.find(" onclick="), std::string::npos) << name;
    EXPECT_EQ(text.find("<script>"), std::string::npos) << name;
  }
}

TEST(Pages, AreNotSentAgainToWhoHasThem) {
  World world;
  const std::string etag = world.get("/assets/call.js").header("etag");
  EXPECT_EQ(etag, find_asset("call.js")->etag);
  const auto status = [&](const std::string& value) {
    return world.get("/assets/call.js", "If-None-Match: " + value + "\r\n").status;
  };
  EXPECT_EQ(status(etag), 304);
  EXPECT_EQ(status("W/" + etag), 304);
  EXPECT_EQ(status("\"x\", " + etag), 304);
  EXPECT_EQ(status("*"), 304);
  EXPECT_EQ(status("\"x\""), 200);
  EXPECT_EQ(status(etag.substr(1)), 200);
  const HttpAnswer answer = world.get("/assets/call.js", "If-None-Match: " + etag + "\r\n");
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(answer.header("etag"), etag);
  EXPECT_EQ(answer.headers.count("content-length"), 0u);
}

TEST(Pages, HeadSaysTheLengthWithoutTheBody) {
  World world;
  const HttpAnswer head = world.ask("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("content-length"),
            std::to_string(find_asset("index.html")->content.size()));
}

TEST(Pages, OnlyRoomNamesHaveACallPage) {
  World world;
  EXPECT_EQ(world.get("/call/%E5%AE%89").status, 200);
  EXPECT_EQ(world.get("/call/a%2Fb").status, 200);
  EXPECT_EQ(world.get("/call/" + std::string(128, 'a')).status, 200);
  EXPECT_EQ(world.get("/call/" + std::string(129, 'a')).status, 404);
  EXPECT_EQ(world.get("/call/").status, 404);
  EXPECT_EQ(world.get("/call/%ff").status, 404);
  EXPECT_EQ(world.get("/call/%0a").status, 404);
  EXPECT_EQ(world.get("/call/%00").status, 400);
  EXPECT_EQ(world.get("/call/%z").status, 400);
}

TEST(Pages, NothingElseIsThere) {
  World world;
  for (const char* path : {"/nothing", "/assets/", "/assets/nothing.js", "/assets/../call.js",
                           "/assets/%63all.js", "/index.html", "//"}) {
    EXPECT_EQ(world.get(path).status, 404) << path;
  }
  const HttpAnswer post = world.post("/", "");
  EXPECT_EQ(post.status, 405);
  EXPECT_EQ(post.header("allow"), "GET, HEAD");
  EXPECT_TRUE(world.outlet.asked_files.empty());
}

TEST(Pages, AnswersNeverRepeatWhatWasAsked) {
  World world;
  for (const char* path : {"/<script>evil()</script>", "/call/<evil()>", "/api/<evil()>?evil()"}) {
    const HttpAnswer answer = world.get(path);
    EXPECT_EQ(answer.body.find("evil"), std::string::npos) << path;
  }
}

TEST(Pages, OfAnySiteMayLoadTheClientModule) {
  World world;
  for (const auto& [path, type] : {std::pair{"client/v1.js", "text/javascript; charset=utf-8"},
                                   {"client/v1.d.ts", "application/typescript; charset=utf-8"}}) {
    const HttpAnswer answer = world.get("/" + std::string(path), "Origin: https://app.example\r\n");
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_EQ(answer.header("content-type"), type);
    EXPECT_EQ(answer.header("access-control-allow-origin"), "https://app.example");
    EXPECT_EQ(answer.header("etag"), find_asset(path)->etag);
    EXPECT_EQ(answer.body, text_of(*find_asset(path)));
  }
  EXPECT_EQ(world.get("/client/v2.js").status, 404);
  EXPECT_EQ(world.get("/client/").status, 404);
}

TEST(Config, TellsThePagesWhatTheyNeed) {
  World world;
  EXPECT_EQ(
      world.get("/config.json").parsed(),
      json({{"version", "0.1.0"},
            {"iceUrls",
             {{"stun", {"stun:turn.example:3478"}},
              {"turn",
               {"turn:turn.example:3478?transport=udp", "turn:turn.example:3478?transport=tcp"}}}},
            {"publicUrl", "http://turn.example:3478"},
            {"openRooms", false},
            {"echo", false},
            {"time", world.now.wall.since_epoch.count()},
            {"addresses", json::array()},
            {"you", {{"address", "192.0.2.7"}, {"secure", false}, {"tls", nullptr}}}}));
  EXPECT_EQ(world.post("/config.json", "{}").status, 405);
}

TEST(Config, TellsPrivateAddressesToVisitorsFromSuchAlone) {
  World world([](Settings& settings) {
    settings.addresses = {*IpAddress::parse("203.0.113.5"), *IpAddress::parse("10.0.0.5")};
  });
  const auto told_to = [&world](std::string_view from) {
    const ConnectionHandle visitor = world.connect(from);
    world.send(visitor, "GET /config.json HTTP/1.1\r\nHost: a\r\n\r\n");
    return world.answers(visitor).front().parsed()["addresses"];
  };
  EXPECT_EQ(told_to("192.0.2.7:1"), json({"203.0.113.5"}));
  EXPECT_EQ(told_to("192.168.1.7:1"), json({"203.0.113.5", "10.0.0.5"}));
  EXPECT_EQ(told_to("127.0.0.1:1"), json({"203.0.113.5", "10.0.0.5"}));
}

TEST(Config, TellsWhichTlsWasSeen) {
  World world;
  const ConnectionHandle visitor =
      world.carrier.on_connected(world.now, {*Address::parse("192.0.2.7:1"),
                                             *Address::parse("192.0.2.1:443"),
                                             true,
                                             {"TLSv1.3", "TLS_AES_256_GCM_SHA384"}});
  world.send(visitor, "GET /config.json HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(world.answers(visitor).front().parsed()["you"]["tls"],
            json({{"version", "TLSv1.3"}, {"cipher", "TLS_AES_256_GCM_SHA384"}}));
}

TEST(Config, HasNoSecret) {
  World world;
  const std::string text = world.get("/config.json").body;
  EXPECT_EQ(text.find(kKey), std::string::npos);
  EXPECT_EQ(text.find(kSecret), std::string::npos);
}

TEST(StartLines, ExampleAndLinkWork) {
  World world;
  const json servers = json::parse(world.service.example_ice_servers(world.now.wall));
  EXPECT_EQ(servers.size(), 2u);
  EXPECT_TRUE(servers[1].contains("credential"));
  const std::string link = world.service.room_link("quiet otter", world.now.wall);
  const std::string head = "http://turn.example:3478/call/quiet%20otter#k=";
  ASSERT_TRUE(link.starts_with(head)) << link;
  Tab tab(world);
  EXPECT_TRUE(tab.join("quiet otter", "", link.substr(head.size())).contains("iceServers"));
}

// --- the static folder ---

struct StaticWorld : World {
  StaticWorld() : World([](Settings& settings) { settings.serve_static = true; }) {
    outlet.on_read_file = [this](ConnectionHandle connection, std::string_view) {
      carrier.on_file(now, connection, answer, outlet);
    };
    answer.kind = FileAnswer::Kind::kFile;
    answer.content = "0123456789";
    answer.modified = {seconds(784111777)};
  }
  FileAnswer answer;
};

TEST(StaticFiles, AreServedWithTheirType) {
  StaticWorld world;
  const HttpAnswer answer = world.get("/js/main.js?x=1");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "0123456789");
  EXPECT_EQ(answer.header("content-type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(answer.header("last-modified"), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(answer.header("x-content-type-options"), "nosniff");
  EXPECT_EQ(answer.headers.count("content-security-policy"), 0u) << "the operator's own pages";
  EXPECT_EQ(world.outlet.asked_files, std::vector<std::string>{"js/main.js"});
  EXPECT_EQ(world.get("/PAGE.HTML").header("content-type"), "text/html; charset=utf-8");
  EXPECT_EQ(world.get("/a.tar.unknown").header("content-type"), "application/octet-stream");
  EXPECT_EQ(world.get("/a.html/noext").header("content-type"), "application/octet-stream");
  EXPECT_EQ(world.get("/notes.txt/").status, 404) << "not a page for its slash";
}

// A page that wants a script which nobody has is told how to get it; other paths are just empty.
TEST(StaticFiles, TheMissingClientOfSocketIoSaysHowToGetIt) {
  StaticWorld world;
  world.answer = {};
  for (const char* path : {"/socket.io/socket.io.js", "/socket.io/socket.io.min.js.map",
                           "/node_modules/socket.io/client-dist/socket.io.js"}) {
    const HttpAnswer answer = world.get(path);
    if (answer.status == 200) continue;  // built with it
    EXPECT_EQ(answer.status, 404);
    EXPECT_NE(answer.body.find("tools/up"), std::string::npos) << path;
  }
  EXPECT_EQ(world.get("/js/main.js").body, "there is nothing here\n");
}

TEST(StaticFiles, PathsAreDecodedOnceAndClean) {
  EXPECT_EQ(clean_path("/a%20b/%C3%A4.txt"), "a b/\xc3\xa4.txt");
  EXPECT_EQ(clean_path("/"), "");
  EXPECT_EQ(clean_path("/a/"), "a");
  EXPECT_EQ(clean_path("/%2541"), "%41");
  for (const char* path : {"",
                           "a",
                           "//",
                           "//etc/passwd",
                           "/a//b",
                           "/..",
                           "/../a",
                           "/a/../b",
                           "/a/..",
                           "/%2e%2e/a",
                           "/%2E./a",
                           "/.",
                           "/./a",
                           "/.git/config",
                           "/a/.hidden",
                           "/a%2fb",
                           "/a%5cb",
                           "/a\\b",
                           "/%00",
                           "/a%00.html",
                           "/a%0ab",
                           "/%ff",
                           "/%c0%ae%c0%ae/a",
                           "/%zz",
                           "/a%7f"}) {
    EXPECT_EQ(clean_path(path), std::nullopt) << path;
  }
}

TEST(StaticFiles, NothingUncleanIsEverAskedFor) {
  StaticWorld world;
  for (const char* path :
       {"/../etc/passwd", "/%2e%2e/etc/passwd", "/.env", "//etc/passwd", "/a%5c..%5cb"}) {
    EXPECT_EQ(world.get(path).status, 404) << path;
  }
  EXPECT_TRUE(world.outlet.asked_files.empty());
}

TEST(StaticFiles, OneRangeIsServed) {
  StaticWorld world;
  const auto range = [&](std::string_view value, std::string_view more = {}) {
    return world.get("/a.txt", "Range: " + std::string(value) + "\r\n" + std::string(more));
  };
  const HttpAnswer part = range("bytes=2-4");
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, "234");
  EXPECT_EQ(part.header("content-range"), "bytes 2-4/10");
  EXPECT_EQ(range("bytes=-1").body, "9");
  const HttpAnswer beyond = range("bytes=10-");
  EXPECT_EQ(beyond.status, 416);
  EXPECT_EQ(beyond.header("content-range"), "bytes */10");
  EXPECT_EQ(range("bytes=0-0,2-3").body, "0123456789");
  const std::string etag = world.get("/a.txt").header("etag");
  EXPECT_EQ(range("bytes=0-0", "If-Range: " + etag + "\r\n").status, 206);
  EXPECT_EQ(range("bytes=0-0", "If-Range: \"old\"\r\n").status, 200);
}

TEST(StaticFiles, AreNotSentAgainToWhoHasThem) {
  StaticWorld world;
  const std::string etag = world.get("/a.txt").header("etag");
  const auto status = [&](const std::string& header) {
    return world.get("/a.txt", header + "\r\n").status;
  };
  EXPECT_EQ(status("If-None-Match: " + etag), 304);
  EXPECT_EQ(status("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"), 304);
  EXPECT_EQ(status("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT"), 200);
  EXPECT_EQ(status("If-None-Match: \"x\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"),
            200);
  world.answer.content += "x";
  EXPECT_EQ(status("If-None-Match: " + etag), 200);
}

TEST(StaticFiles, FoldersListTheirFilesEscaped) {
  StaticWorld world;
  world.answer.kind = FileAnswer::Kind::kDirectory;
  world.answer.listing = {"<b>&\"'.txt", "javascript:alert(1)", "sub dir/"};
  const HttpAnswer answer = world.get("/a%3Cb/");
  EXPECT_EQ(answer.status, 200);
  EXPECT_NE(answer.body.find("<h1>/a&lt;b/</h1>"), std::string::npos);
  EXPECT_NE(
      answer.body.find("<a href=\"./%3Cb%3E%26%22%27.txt\">&lt;b&gt;&amp;&quot;&#39;.txt</a>"),
      std::string::npos);
  EXPECT_NE(answer.body.find("<a href=\"./javascript%3Aalert%281%29\">"), std::string::npos);
  EXPECT_NE(answer.body.find("<a href=\"./sub%20dir/\">sub dir/</a>"), std::string::npos);
  const HttpAnswer moved = world.get("/a?x=1");
  EXPECT_EQ(moved.status, 301);
  EXPECT_EQ(moved.header("location"), "/a/?x=1");
}

TEST(StaticFiles, AnIndexNeedsItsSlashForItsRelativeLinks) {
  StaticWorld world;
  world.answer.is_index = true;
  EXPECT_EQ(world.get("/sub").header("location"), "/sub/");
  const HttpAnswer page = world.get("/sub/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.header("content-type"), "text/html; charset=utf-8");
}

TEST(StaticFiles, TheOperatorsStartPageWins) {
  StaticWorld world;
  world.answer.is_index = true;
  EXPECT_EQ(world.get("/").body, "0123456789");
  world.answer.kind = FileAnswer::Kind::kNotFound;
  EXPECT_EQ(world.get("/").body, text_of(*find_asset("index.html")));
  EXPECT_EQ(world.get("/other").status, 404);
  EXPECT_EQ(world.get("/call/demo").body, text_of(*find_asset("call.html")));
  world.answer.kind = FileAnswer::Kind::kTooLarge;
  EXPECT_EQ(world.get("/huge").status, 503);
}

TEST(StaticFiles, PipelinedRequestsWaitForTheFile) {
  StaticWorld world;
  world.outlet.on_read_file = nullptr;
  const ConnectionHandle connection = world.connect();
  world.send(connection, "GET /one HTTP/1.1\r\nHost: h\r\n\r\nGET /two HT");
  world.send(connection, "TP/1.1\r\nHost: h\r\n\r\nGET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(world.outlet.asked_files, std::vector<std::string>{"one"});
  EXPECT_EQ(world.take(connection), "");
  world.carrier.on_file(world.now, connection, world.answer, world.outlet);
  EXPECT_EQ(world.answers(connection).size(), 1u);
  EXPECT_EQ(world.outlet.asked_files.size(), 2u);
  world.carrier.on_file(world.now, connection, world.answer, world.outlet);
  const auto answers = world.answers(connection);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[1].body, "ok\n");
  // An answer that nobody waits for changes nothing.
  world.carrier.on_file(world.now, connection, world.answer, world.outlet);
  EXPECT_EQ(world.take(connection), "");
}

TEST(StaticFiles, WhatIsPipelinedBehindAFileIsBounded) {
  StaticWorld world;
  world.outlet.on_read_file = nullptr;
  const ConnectionHandle connection = world.connect();
  world.send(connection, "GET /one HTTP/1.1\r\nHost: h\r\n\r\n");
  world.send(connection, std::string(Carrier::kMaxPipelined, 'x'));
  EXPECT_FALSE(world.closed(connection));
  world.send(connection, "x");
  EXPECT_TRUE(world.closed(connection));
  world.carrier.on_file(world.now, connection, world.answer, world.outlet);
}

TEST(StaticFiles, AFileThatNeverComesEndsTheConnection) {
  StaticWorld world;
  world.outlet.on_read_file = nullptr;
  const ConnectionHandle connection = world.connect();
  world.send(connection, "GET /one HTTP/1.1\r\nHost: h\r\n\r\n");
  world.pass(Carrier::kFileDeadline - seconds(1));
  EXPECT_FALSE(world.closed(connection));
  world.pass(seconds(2));
  EXPECT_TRUE(world.closed(connection));
}

TEST(StaticFiles, ManyPipelinedRequestsNeedNoDeepStack) {
  StaticWorld world;
  world.answer.content = "x";
  const ConnectionHandle connection = world.connect();
  std::string all;
  for (int i = 0; i < 2000; ++i) all += "GET /one HTTP/1.1\r\nHost: h\r\n\r\n";
  world.send(connection, all);
  EXPECT_EQ(world.answers(connection).size(), 2000u);
}

}  // namespace
}  // namespace turnpike::signaling::testing
