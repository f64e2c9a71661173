// WebSocket framing (RFC 6455): the examples, every violation with its close code, the limits.
#include "signaling/ws.h"

#include "world.h"

namespace turnpike::signaling::testing {
namespace {

using ws::CloseCode;
using ws::Message;
using ws::Opcode;
using Status = ws::Reader::Status;

struct Heard {
  std::vector<Message> messages;
  std::optional<CloseCode> failure;
};

Heard read(std::string_view bytes, std::size_t step = std::string_view::npos,
           const ws::Limits& limits = {}) {
  ws::Reader reader;
  Heard heard;
  while (!bytes.empty()) {
    ByteView piece = as_bytes(bytes.substr(0, step));
    bytes.remove_prefix(piece.size());
    Message message;
    while (true) {
      const Status status = reader.feed(piece, limits, message);
      if (status == Status::kFailed) {
        heard.failure = reader.failure();
        return heard;
      }
      if (status == Status::kNeedsMore) break;
      heard.messages.push_back(message);
    }
  }
  return heard;
}

std::string hex(std::string_view digits) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 3) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

TEST(WebSocketReader, ReadsTheRfcsMaskedHello) {
  const Heard heard = read(hex("81 85 37 fa 21 3d 7f 9f 4d 51 58 "));
  ASSERT_EQ(heard.messages.size(), 1u);
  EXPECT_EQ(heard.messages[0].opcode, Opcode::kText);
  EXPECT_EQ(heard.messages[0].payload, "Hello");
}

TEST(WebSocketReader, JoinsFragmentsWithControlFramesBetween) {
  const std::string bytes = client_frame(1, "Hel", false) + client_frame(9, "ping") +
                            client_frame(0, "", false) + client_frame(10, "") +
                            client_frame(0, "lo") + client_frame(2, std::string("\0\xff", 2));
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    const Heard heard = read(bytes, step);
    ASSERT_FALSE(heard.failure) << step;
    ASSERT_EQ(heard.messages.size(), 4u);
    EXPECT_EQ(heard.messages[0].opcode, Opcode::kPing);
    EXPECT_EQ(heard.messages[0].payload, "ping");
    EXPECT_EQ(heard.messages[1].opcode, Opcode::kPong);
    EXPECT_EQ(heard.messages[2].opcode, Opcode::kText);
    EXPECT_EQ(heard.messages[2].payload, "Hello");
    EXPECT_EQ(heard.messages[3].opcode, Opcode::kBinary);
    EXPECT_EQ(heard.messages[3].payload, std::string("\0\xff", 2));
  }
}

TEST(WebSocketReader, TakesEachLengthInItsShortestForm) {
  for (const std::size_t size : {0u, 1u, 125u, 126u, 127u, 65535u, 65536u}) {
    const std::string payload(size, 'x');
    const Heard heard = read(client_frame(1, payload), 1000);
    ASSERT_EQ(heard.messages.size(), 1u) << size;
    EXPECT_EQ(heard.messages[0].payload, payload);
  }
}

struct Violation {
  const char* what;
  std::string bytes;
  CloseCode code;
};

std::vector<Violation> violations() {
  const CloseCode protocol = CloseCode::kProtocolError;
  const CloseCode text = CloseCode::kInvalidText;
  return {
      {"an unmasked frame", hex("81 05 48 65 6c 6c 6f "), protocol},
      {"an unmasked empty frame", hex("81 00 "), protocol},
      {"RSV1", hex("c1 80 "), protocol},
      {"RSV2", hex("a1 80 "), protocol},
      {"RSV3", hex("91 80 "), protocol},
      {"opcode 3", hex("83 80 "), protocol},
      {"opcode 7", hex("87 80 "), protocol},
      {"opcode 11", hex("8b 80 "), protocol},
      {"opcode 15", hex("8f 80 "), protocol},
      {"a continuation of nothing", client_frame(0, "x"), protocol},
      {"a final continuation twice",
       client_frame(1, "a", false) + client_frame(0, "b") + client_frame(0, "c"), protocol},
      {"text inside a fragmented message", client_frame(1, "a", false) + client_frame(1, "b"),
       protocol},
      {"binary inside a fragmented message", client_frame(1, "a", false) + client_frame(2, "b"),
       protocol},
      {"a fragmented ping", client_frame(9, "a", false), protocol},
      {"a fragmented close", client_frame(8, "", false), protocol},
      {"a ping of 126 bytes", client_frame(9, std::string(126, 'p')), protocol},
      {"a close of 126 bytes", client_frame(8, std::string(126, 'p')), protocol},
      {"125 in 16 bits", hex("81 fe 00 7d 00 00 00 00 "), protocol},
      {"0 in 16 bits", hex("81 fe 00 00 00 00 00 00 "), protocol},
      {"65535 in 64 bits", hex("81 ff 00 00 00 00 00 00 ff ff 00 00 00 00 "), protocol},
      {"a length with its highest bit set", hex("81 ff 80 00 00 00 00 00 00 00 00 00 00 00 "),
       protocol},
      {"a length of 2^62", hex("81 ff 40 00 00 00 00 00 00 00 00 00 00 00 "), CloseCode::kTooLarge},
      {"a byte that UTF-8 never has", client_frame(1, "a\xff"), text},
      {"a continuation byte first", client_frame(1, "\x80"), text},
      {"an overlong slash", client_frame(1, "\xc0\xaf"), text},
      {"an overlong of three", client_frame(1, "\xe0\x80\xaf"), text},
      {"an overlong of four", client_frame(1, "\xf0\x80\x80\xaf"), text},
      {"a surrogate", client_frame(1, "\xed\xa0\x80"), text},
      {"beyond U+10FFFF", client_frame(1, "\xf4\x90\x80\x80"), text},
      {"a sequence cut by the end", client_frame(1, "\xe2\x82"), text},
      {"a sequence cut by the end of the last fragment",
       client_frame(1, "\xe2", false) + client_frame(0, "\x82"), text},
      {"a wrong second half in the next fragment",
       client_frame(1, "\xe2", false) + client_frame(0, "\x28", false), text},
      // At once, although the message could go on for long.
      {"a wrong byte in an unfinished fragment", client_frame(1, "ab\xff", false), text},
  };
}

TEST(WebSocketReader, EveryViolationHasItsCloseCode) {
  for (const Violation& one : violations()) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{3}, std::string_view::npos}) {
      const Heard heard = read(one.bytes, step);
      ASSERT_TRUE(heard.failure) << one.what;
      EXPECT_EQ(*heard.failure, one.code) << one.what;
    }
  }
}

TEST(WebSocketReader, AViolationIsFoundAtItsFirstByte) {
  // The two first bytes are judged before a length or a mask is awaited.
  EXPECT_EQ(read(hex("81 05 ")).failure, CloseCode::kProtocolError);
  EXPECT_EQ(read(hex("c1 85 ")).failure, CloseCode::kProtocolError);
  EXPECT_EQ(read(hex("89 fe ")).failure, CloseCode::kProtocolError);
}

TEST(WebSocketReader, AMessageMayBeAsLongAsTheLimitAndNoByteMore) {
  const ws::Limits limits{1000, 10};
  EXPECT_EQ(read(client_frame(1, std::string(1000, 'a')), 64, limits).messages.size(), 1u);
  EXPECT_EQ(read(client_frame(1, std::string(1001, 'a')), 64, limits).failure,
            CloseCode::kTooLarge);
  const std::string half = client_frame(1, std::string(500, 'a'), false);
  EXPECT_EQ(read(half + client_frame(0, std::string(500, 'a')), 64, limits).messages.size(), 1u);
  EXPECT_EQ(read(half + client_frame(0, std::string(501, 'a')), 64, limits).failure,
            CloseCode::kTooLarge);
  // By its head alone: nothing of it is kept.
  EXPECT_EQ(read(hex("81 fe 03 e9 00 00 00 00 "), 64, limits).failure, CloseCode::kTooLarge);
}

TEST(WebSocketReader, AMessageHasAtMostSoManyFragments) {
  const ws::Limits limits{1000, 10};
  const auto fragments = [](int count) {
    std::string bytes = client_frame(1, "", false);
    for (int i = 2; i < count; ++i) bytes += client_frame(0, "", false);
    return bytes + client_frame(0, "");
  };
  EXPECT_EQ(read(fragments(10), 5, limits).messages.size(), 1u);
  EXPECT_EQ(read(fragments(11), 5, limits).failure, CloseCode::kPolicy);
  // The count is of one message.
  EXPECT_EQ(read(fragments(10) + fragments(10), 5, limits).messages.size(), 2u);
}

TEST(WebSocketReader, TakesEveryCodePointOfUtf8) {
  const std::string edges =
      "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80"
      "\xf4\x8f\xbf\xbf";
  for (std::size_t step = 1; step < 8; ++step) {
    EXPECT_EQ(read(client_frame(1, edges), step).messages.size(), 1u);
  }
  EXPECT_EQ(read(client_frame(2, "\xff\xfe")).messages.size(), 1u) << "binary is no text";
}

// Payloads are looked at several bytes at a time: every length, cut everywhere.
TEST(WebSocketReader, UnmasksEveryLengthHoweverItIsCut) {
  std::string payload;
  for (std::size_t size = 0; size <= 40; ++size) {
    for (std::size_t step = 1; step <= 17; ++step) {
      const Heard heard = read(client_frame(1, payload) + client_frame(2, payload), step);
      ASSERT_EQ(heard.messages.size(), 2u) << size << " in steps of " << step;
      EXPECT_EQ(heard.messages[0].payload, payload);
      EXPECT_EQ(heard.messages[1].payload, payload);
    }
    payload.push_back(static_cast<char>('!' + size));
  }
}

TEST(WebSocketReader, FindsAWrongByteWhereverItStands) {
  for (std::size_t at = 0; at < 24; ++at) {
    std::string payload(24, 'x');
    payload[at] = '\xff';
    for (std::size_t step = 1; step <= 30; ++step) {
      EXPECT_EQ(read(client_frame(1, payload), step).failure, CloseCode::kInvalidText) << at;
    }
  }
}

TEST(WebSocketClose, CodesThatMayTravelAreTaken) {
  const auto judge = [](std::uint16_t code, std::string_view reason = {}) {
    std::string payload = {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
    return ws::read_close(payload.append(reason));
  };
  for (const int code : {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 4999}) {
    EXPECT_TRUE(judge(static_cast<std::uint16_t>(code)).valid) << code;
  }
  for (const int code : {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535}) {
    EXPECT_FALSE(judge(static_cast<std::uint16_t>(code)).valid) << code;
    EXPECT_EQ(judge(static_cast<std::uint16_t>(code)).code, CloseCode::kProtocolError) << code;
  }
  EXPECT_TRUE(judge(1000, "good\xc3\xa4").valid);
  EXPECT_EQ(judge(1000, "\xff").code, CloseCode::kInvalidText);
  EXPECT_FALSE(ws::read_close("\x03").valid);
  EXPECT_TRUE(ws::read_close("").valid);
}

TEST(WebSocketFrame, HeadsAreTheShortest) {
  const auto head = [](std::size_t size) {
    std::string out;
    ws::append_frame_head(out, Opcode::kText, size);
    return out;
  };
  EXPECT_EQ(head(5), hex("81 05 "));
  EXPECT_EQ(head(125), hex("81 7d "));
  EXPECT_EQ(head(126), hex("81 7e 00 7e "));
  EXPECT_EQ(head(256), hex("81 7e 01 00 "));
  EXPECT_EQ(head(65535), hex("81 7e ff ff "));
  EXPECT_EQ(head(65536), hex("81 7f 00 00 00 00 00 01 00 00 "));
}

// --- through the service ---

HttpAnswer shake(std::string_view request) {
  World world;
  return world.ask(std::string(request) + "\r\n");
}

std::string replaced(std::string_view from, std::string_view to) {
  std::string text(kUpgrade);
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST(WebSocketHandshake, AnswersTheRfcsKey) {
  const HttpAnswer answer = shake(kUpgrade);
  EXPECT_EQ(answer.status, 101);
  EXPECT_EQ(answer.header("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_EQ(answer.header("upgrade"), "websocket");
  EXPECT_EQ(answer.header("connection"), "Upgrade");
  EXPECT_EQ(answer.headers.count("content-length"), 0u);
}

TEST(WebSocketHandshake, ReadsTokensWithoutCaseInLists) {
  EXPECT_EQ(shake(replaced("Upgrade: websocket", "uPGRADE: h2c, WebSocket")).status, 101);
  EXPECT_EQ(shake(replaced("Connection: Upgrade", "connection: keep-alive, UPGRADE")).status, 101);
}

TEST(WebSocketHandshake, RefusesWhatIsNone) {
  EXPECT_EQ(shake(replaced("Upgrade: websocket\r\n", "")).status, 426);
  EXPECT_EQ(shake(replaced("Connection: Upgrade\r\n", "")).status, 426);
  const HttpAnswer old = shake(replaced("Version: 13", "Version: 8"));
  EXPECT_EQ(old.status, 426);
  EXPECT_EQ(old.header("sec-websocket-version"), "13");
  EXPECT_EQ(shake(replaced("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==")).status, 400);
  EXPECT_EQ(shake(replaced("dGhlIHNhbXBsZSBub25jZQ==", "!!!lIHNhbXBsZSBub25jZQ==")).status, 400);
  EXPECT_EQ(shake(replaced("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "")).status, 400);
  EXPECT_EQ(shake(std::string(kUpgrade) + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n").status,
            400);
  EXPECT_EQ(shake(replaced("GET ", "POST ")).status, 400);
  EXPECT_EQ(shake(replaced("HTTP/1.1", "HTTP/1.0")).status, 400);
  World world;
  EXPECT_EQ(world.get("/ws").status, 426);
}

TEST(WebSocketHandshake, LooksAtTheOrigin) {
  const auto from = [](std::string_view origin) {
    return shake(std::string(kUpgrade) + "Origin: " + std::string(origin) + "\r\n").status;
  };
  EXPECT_EQ(from("http://turn.example:3478"), 101);
  EXPECT_EQ(from("https://TURN.example:3478"), 101);
  for (const char* foreign :
       {"http://evil.example", "null", "http://turn.example", "http://turn.example:3479",
        "http://turn.example:3478.evil.example", "http://sub.turn.example:3478",
        "turn.example:3478", "file://turn.example:3478",
        "http://turn.example:3478, http://turn.example:3478", ""}) {
    EXPECT_EQ(from(foreign), 403) << foreign;
  }
  World world([](Settings& settings) { settings.allowed_origins = {"https://app.example"}; });
  const auto ask = [&world](std::string_view origin) {
    return world.ask(std::string(kUpgrade) + "Origin: " + std::string(origin) + "\r\n\r\n").status;
  };
  EXPECT_EQ(ask("https://app.example"), 101);
  EXPECT_EQ(ask("http://app.example"), 403);
  EXPECT_EQ(ask("https://app.example.evil.example"), 403);
}

TEST(WebSocketHandshake, TakesFramesThatCameWithTheRequest) {
  World world;
  const ConnectionHandle connection = world.connect();
  world.send(connection, std::string(kUpgrade) + "\r\n" + client_frame(1, R"({"type":"ping"})"));
  const std::string text = world.take(connection);
  EXPECT_NE(text.find("{\"type\":\"pong\"}"), std::string::npos);
}

TEST(WebSocketConnection, ClosesEveryViolationWithItsCode) {
  for (const Violation& one : violations()) {
    World world;
    Tab tab(world);
    world.send(tab.connection, one.bytes);
    EXPECT_EQ(tab.close_code(), static_cast<int>(one.code)) << one.what;
    // What follows is not looked at.
    tab.ignore();
    world.send(tab.connection, client_frame(1, R"({"type":"ping"})"));
    EXPECT_TRUE(tab.silent()) << one.what;
    world.pass(Carrier::kLingerTime + seconds(1));
    EXPECT_TRUE(world.closed(tab.connection)) << one.what;
  }
}

TEST(WebSocketConnection, AnswersPingsWithTheirPayload) {
  World world;
  Tab tab(world);
  world.send(tab.connection, client_frame(9, "are you there"));
  const auto frames = tab.control_frames();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].opcode, 10);
  EXPECT_EQ(frames[0].payload, "are you there");
}

TEST(WebSocketConnection, AnswersACloseWithTheSameCode) {
  World world;
  Tab tab(world);
  world.send(tab.connection, client_frame(8, std::string("\x0f\xa0 bye", 6)));
  EXPECT_EQ(tab.close_code(), 4000);
  EXPECT_TRUE(world.closed(tab.connection));
  Tab plain(world);
  world.send(plain.connection, client_frame(8, ""));
  EXPECT_EQ(plain.close_code(), 1005);
  Tab wrong(world);
  world.send(wrong.connection, client_frame(8, std::string("\x03\xed", 2)));
  EXPECT_EQ(wrong.close_code(), 1002);
}

TEST(WebSocketConnection, AfterOurCloseItEndsWithTheirs) {
  World world;
  Tab tab(world);
  tab.join("demo");
  tab.say({{"type", "leave"}});
  EXPECT_EQ(tab.close_code(), 4002);
  EXPECT_FALSE(world.closed(tab.connection));
  world.send(tab.connection, client_frame(8, std::string("\x0f\xa2", 2)));
  EXPECT_TRUE(world.closed(tab.connection));
}

TEST(WebSocketConnection, RefusesBinaryMessages) {
  World world;
  Tab tab(world);
  world.send(tab.connection, client_frame(2, "{}"));
  EXPECT_EQ(tab.close_code(), 1003);
}

TEST(WebSocketConnection, PingsEvery25SecondsAndCutsAfterTwoWithoutAnswer) {
  World world;
  Tab tab(world);
  tab.answers_pings = false;
  world.pass(seconds(24));
  EXPECT_TRUE(tab.control_frames().empty());
  world.pass(milliseconds(1100));
  auto pings = tab.control_frames();
  ASSERT_EQ(pings.size(), 1u);
  EXPECT_EQ(pings[0].opcode, 9);
  world.send(tab.connection, client_frame(10, pings[0].payload));
  world.pass(seconds(26));
  world.pass(seconds(25));
  EXPECT_EQ(tab.control_frames().size(), 2u);
  EXPECT_FALSE(world.closed(tab.connection));
  world.pass(seconds(25));
  EXPECT_TRUE(world.closed(tab.connection));
}

TEST(WebSocketConnection, AFloodOfPingsEndsIt) {
  World world;
  Tab tab(world);
  for (std::uint32_t i = 0; i < Carrier::kControlFrameRate.burst; ++i) {
    world.send(tab.connection, client_frame(9, ""));
  }
  EXPECT_EQ(tab.close_code(), 0);
  world.send(tab.connection, client_frame(9, ""));
  EXPECT_EQ(tab.close_code(), 1008);
}

TEST(WebSocketConnection, IsToldWhenTheServerGoesAway) {
  World world;
  Tab tab(world);
  tab.join("demo");
  const ConnectionHandle plain = world.connect();
  world.carrier.shut_down(world.now, world.outlet);
  EXPECT_EQ(tab.close_code(), 1001);
  EXPECT_TRUE(world.closed(tab.connection));
  EXPECT_TRUE(world.closed(plain));
  EXPECT_TRUE(world.outlet.revoked.empty());
  EXPECT_EQ(world.service.audit().connections, 0u);
  world.send(tab.connection, client_frame(1, "{}"));
  world.pass(hours(2));
}

}  // namespace
}  // namespace turnpike::signaling::testing
