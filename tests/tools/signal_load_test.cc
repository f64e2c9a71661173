// The parts of turnpike-signal-load that need no server: frames, messages, dialects, options and
// what it reports.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tools/load/signal_load_dialects.h"
#include "tools/load/signal_load_frames.h"
#include "tools/load/signal_load_message.h"
#include "tools/load/signal_load_options.h"
#include "tools/load/signal_load_report.h"
#include "tools/load/signal_load_runs.h"

namespace turnpike::signal_load {
namespace {

// --- frames ---

TEST(SignalLoadFrames, AClientsFrameIsMaskedAsInTheSampleOfTheRfc) {
  std::string frame;
  append_frame(frame, Opcode::kText, "Hello");  // RFC 6455 section 5.7
  EXPECT_EQ(frame, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
}

TEST(SignalLoadFrames, LongPayloadsAreMaskedByteForByte) {
  const std::string payload(70'000, 'x');
  std::string frame;
  append_frame(frame, Opcode::kText, payload);
  ASSERT_EQ(frame.size(), 2u + 8 + 4 + payload.size());
  const std::string mask = "\x37\xfa\x21\x3d";
  for (std::size_t i = 0; i < payload.size(); ++i) {
    ASSERT_EQ(static_cast<char>(frame[14 + i] ^ mask[i % 4]), 'x') << i;
  }
}

TEST(SignalLoadFrames, AServersFrameIsReadOnlyWhenItIsWhole) {
  std::string bytes("\x81\x7e\x00\x80", 4);
  bytes.append(128, 'y');
  bytes.append("next");
  Frame frame;
  for (std::size_t size = 0; size < 132; ++size) {
    ASSERT_EQ(read_frame(std::string_view(bytes).substr(0, size), frame), Reading::kUnfinished);
  }
  ASSERT_EQ(read_frame(bytes, frame), Reading::kWhole);
  EXPECT_EQ(frame.payload, std::string(128, 'y'));
  EXPECT_EQ(frame.size, 132u);
  EXPECT_TRUE(frame.final);
}

TEST(SignalLoadFrames, MaskedReservedAndHugeFramesOfAServerAreBroken) {
  Frame frame;
  EXPECT_EQ(read_frame("\x81\x85gggghello", frame), Reading::kBroken);
  EXPECT_EQ(read_frame("\xc1\x01x", frame), Reading::kBroken);
  EXPECT_EQ(read_frame(std::string_view("\x81\x7f\x00\x00\x00\x00\x01\x00\x00\x00", 10), frame),
            Reading::kBroken);
}

TEST(SignalLoadFrames, AHandshakeIsAcceptedOnlyWithTheRightAnswer) {
  const std::string head = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: ";
  const std::string good = head + "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
  EXPECT_EQ(read_handshake(good.substr(0, good.size() - 1)).verdict, Handshake::kUnfinished);
  const HandshakeAnswer answer = read_handshake(good + "frame");
  EXPECT_EQ(answer.verdict, Handshake::kAccepted);
  EXPECT_EQ(answer.size, good.size());
  EXPECT_EQ(read_handshake(head + "wrong\r\n\r\n").verdict, Handshake::kRefused);
  const HandshakeAnswer refused = read_handshake("HTTP/1.1 503 Busy\r\n\r\n");
  EXPECT_EQ(refused.verdict, Handshake::kRefused);
  EXPECT_EQ(refused.reason, "HTTP/1.1 503 Busy");
}

// --- messages ---

TEST(SignalLoadMessage, IsReadAsItWasWritten) {
  for (const std::size_t size : {MessageFormat::kMinSize, std::size_t{34}, std::size_t{4096}}) {
    const MessageFormat format(size);
    std::string text;
    format.append(text, {0xabcdef, 1, 4'000'000'000u, 0x0123456789abcdefu});
    EXPECT_EQ(text.size(), size);
    const auto head = format.read(text);
    ASSERT_TRUE(head);
    EXPECT_EQ(head->pair, 0xabcdefu);
    EXPECT_EQ(head->side, 1);
    EXPECT_EQ(head->number, 4'000'000'000u);
    EXPECT_EQ(head->due, 0x0123456789abcdefu);
  }
}

TEST(SignalLoadMessage, EveryDamagedByteOfTheFillerIsNoticed) {
  const MessageFormat format(200);
  std::string text;
  format.append(text, {7, 0, 12, 99});
  for (std::size_t at = MessageFormat::kMinSize - 1; at < text.size(); ++at) {
    std::string damaged = text;
    damaged[at] = '!';
    EXPECT_FALSE(format.read(damaged)) << at;
  }
  EXPECT_FALSE(format.read(text.substr(0, 199)));
  EXPECT_FALSE(format.read(text + "x"));
}

TEST(SignalLoadMessage, AFillerBelongsToItsNumber) {
  const MessageFormat format(100);
  std::string first, second;
  format.append(first, {1, 0, 5, 0});
  format.append(second, {1, 0, 6, 0});
  EXPECT_FALSE(format.read(first.substr(0, MessageFormat::kMinSize) +
                           second.substr(MessageFormat::kMinSize)));
}

TEST(SignalLoadOrder, TakesGapsAndRefusesWhatComesTwiceOrLate) {
  OrderCheck order;
  EXPECT_TRUE(order.accept(0));
  EXPECT_TRUE(order.accept(1));
  EXPECT_FALSE(order.accept(1));
  EXPECT_TRUE(order.accept(5));
  EXPECT_FALSE(order.accept(4));
  EXPECT_TRUE(order.accept(6));
}

// --- dialects ---

struct Talk {
  explicit Talk(std::string_view name) : dialect(find_dialect(name)) {}
  Meaning hears(std::string_view text) {
    reply.clear();
    data = {};
    return dialect->on_text(seat, "room", text, reply, data);
  }
  Meaning opens() { return dialect->on_open(seat, "room", reply); }
  const Dialect* dialect;
  Seat seat;
  std::string reply;
  std::string_view data;
};

TEST(SignalLoadDialects, NativeJoinsAndHearsItsPeer) {
  Talk talk("native");
  EXPECT_EQ(talk.opens(), Meaning::kNothing);
  EXPECT_EQ(talk.reply, R"({"type":"join","room":"room"})");
  EXPECT_EQ(talk.hears(R"({"type":"joined","session":"s"})"), Meaning::kReady);
  EXPECT_EQ(talk.hears(R"({"type":"member-joined"})"), Meaning::kNothing);
  EXPECT_EQ(talk.hears(R"({"type":"message","from":"m-1","data":"~abc","seq":3})"), Meaning::kData);
  EXPECT_EQ(talk.data, "~abc");
  EXPECT_EQ(talk.hears(R"({"type":"error","code":"room-full"})"), Meaning::kRefused);
}

TEST(SignalLoadDialects, SocketIo5ConnectsAnswersPingsAndJoins) {
  Talk talk("socketio5");
  EXPECT_EQ(talk.opens(), Meaning::kNothing);
  EXPECT_EQ(talk.hears(R"(0{"sid":"a"})"), Meaning::kNothing);
  EXPECT_EQ(talk.reply, "40");
  EXPECT_EQ(talk.hears(R"(40{"sid":"b"})"), Meaning::kNothing);
  EXPECT_EQ(talk.reply, R"(42["join","room"])");
  EXPECT_EQ(talk.hears(R"(42["joined","room","b"])"), Meaning::kReady);
  EXPECT_EQ(talk.hears("2"), Meaning::kNothing);
  EXPECT_EQ(talk.reply, "3");
  EXPECT_EQ(talk.hears(R"(42["message","room","~x"])"), Meaning::kData);
  EXPECT_EQ(talk.data, "~x");
  EXPECT_EQ(talk.hears(R"(42["full","room","b"])"), Meaning::kRefused);
}

TEST(SignalLoadDialects, SocketIo4WaitsForTheServersConnectAndPingsItself) {
  Talk talk("socketio4");
  EXPECT_EQ(talk.hears(R"(0{"sid":"a"})"), Meaning::kNothing);
  EXPECT_EQ(talk.reply, "");
  EXPECT_EQ(talk.hears("40"), Meaning::kNothing);
  EXPECT_EQ(talk.reply, R"(42["join","room"])");
  EXPECT_EQ(talk.hears(R"(42["joined","room","a"])"), Meaning::kReady);
  EXPECT_EQ(talk.hears("3"), Meaning::kNothing);
  EXPECT_EQ(talk.dialect->heartbeat(), "2");
}

TEST(SignalLoadDialects, ScaleDroneSubscribesAndCountsItsOwnEcho) {
  Talk talk("scaledrone");
  EXPECT_EQ(talk.opens(), Meaning::kNothing);
  EXPECT_EQ(talk.hears(R"({"callback":0,"client_id":"c"})"), Meaning::kNothing);
  EXPECT_NE(talk.reply.find(R"("room":"observable-room")"), std::string::npos);
  EXPECT_EQ(talk.hears(R"({"callback":1})"), Meaning::kReady);
  EXPECT_EQ(talk.hears(R"({"type":"observable_members","data":[]})"), Meaning::kNothing);
  EXPECT_EQ(talk.hears(R"({"type":"publish","message":"~m"})"), Meaning::kData);
  EXPECT_TRUE(talk.dialect->echoes());
}

TEST(SignalLoadDialects, WhatOneWrapsAllFindAgain) {
  for (const Dialect* dialect : all_dialects()) {
    std::string text;
    dialect->wrap("room", "~abc", text);
    const std::size_t json = text.find_first_of("[{");
    ASSERT_NE(json, std::string::npos);
    EXPECT_TRUE(nlohmann::json::accept(text.substr(json))) << text;
    EXPECT_NE(text.find("\"~abc\""), std::string::npos) << text;
  }
}

TEST(SignalLoadDialects, ThoseWhoDoNotEnterAreReadyWithoutARoom) {
  Talk native("native"), socketio("socketio5"), drone("scaledrone");
  native.seat.enters = socketio.seat.enters = drone.seat.enters = false;
  EXPECT_EQ(native.opens(), Meaning::kReady);
  EXPECT_EQ(socketio.hears(R"(40{"sid":"b"})"), Meaning::kReady);
  EXPECT_EQ(drone.hears(R"({"callback":0,"client_id":"c"})"), Meaning::kReady);
}

// --- options and report ---

TEST(SignalLoadOptions, UrlsAreTakenApart) {
  const auto plain = split_url("ws://127.0.0.1:3478");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->host, "127.0.0.1");
  EXPECT_EQ(plain->port, "3478");
  EXPECT_EQ(plain->path, "");
  const auto six = split_url("ws://[::1]:80/ws?a=b");
  ASSERT_TRUE(six);
  EXPECT_EQ(six->host, "::1");
  EXPECT_EQ(six->authority, "[::1]:80");
  EXPECT_EQ(six->path, "/ws?a=b");
  EXPECT_EQ(split_url("ws://localhost/")->port, "80");
}

TEST(SignalLoadOptions, OtherUrlsAreRefused) {
  for (const char* url : {"wss://localhost", "localhost:3478", "ws://", "ws://a:b", "ws://:80"}) {
    EXPECT_FALSE(split_url(url)) << url;
  }
}

TEST(SignalLoadReport, SaysHowMuchACpuSecondDoes) {
  Options options;
  options.dialect = find_dialect("native");
  Findings found;
  found.ready = 200;
  found.sent = found.delivered = found.expected = 3000;
  found.measured_deliveries = 2000;
  found.measured_seconds = 2;
  found.watched = true;
  found.cpu_seconds = 0.5;
  EXPECT_TRUE(found.all_well());
  const auto json = nlohmann::json::parse(json_of(options, found));
  EXPECT_DOUBLE_EQ(json["delivered_per_second"], 1000);
  EXPECT_DOUBLE_EQ(json["server"]["per_cpu_second"], 4000);
  EXPECT_EQ(json["missing"], 0);
}

TEST(SignalLoadReport, SaysWhatOneClientWeighs) {
  Options options;
  options.mode = Mode::kIdle;
  options.dialect = find_dialect("plain");
  Findings found;
  found.ready = 1024;
  found.watched = true;
  found.memory_before = 10 << 20;
  found.memory_after = 13 << 20;
  const auto json = nlohmann::json::parse(json_of(options, found));
  EXPECT_DOUBLE_EQ(json["server"]["memory_per_client_kib"], 3);
}

TEST(SignalLoadFindings, AreNotWellWhenAnythingIsMissing) {
  Findings found;
  found.expected = 10;
  found.delivered = 9;
  EXPECT_EQ(found.missing(), 1u);
  EXPECT_FALSE(found.all_well());
  found.delivered = 10;
  EXPECT_TRUE(found.all_well());
  found.disordered = 1;
  EXPECT_FALSE(found.all_well());
}

}  // namespace
}  // namespace turnpike::signal_load
