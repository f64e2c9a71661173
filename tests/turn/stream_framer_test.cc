#include "turn/stream_framer.h"

#include <gtest/gtest.h>

#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using Result = StreamFramer::Result;

Bytes binding() {
  RelayHouse house;
  Guest guest(house, "203.0.113.5:1");
  return guest.bare_request(stun::Method::kBinding, [](stun::Builder& b) {
    b.text(stun::Attribute::kSoftware, "a client");
  });
}

// Every kind of message, one after the other, as on the wire; and what must come out.
struct Wire {
  Bytes bytes;
  std::vector<Bytes> messages;
  void add(const Bytes& message) {
    messages.push_back(message);
    bytes.insert(bytes.end(), message.begin(), message.end());
    bytes.insert(bytes.end(), padding_to_four(message.size()), 0);
  }
};
Wire conversation() {
  Wire wire;
  wire.add(binding());
  for (std::size_t size = 0; size < 6; ++size) wire.add(channel_message(0x4000, filled(size)));
  wire.add(binding());
  wire.add(channel_message(0x7FFF, filled(1201)));
  wire.add(channel_message(0x4FFF, {}));
  return wire;
}

// Feeds one piece and takes out all there is; false on garbage.
bool feed(StreamFramer& framer, ByteView piece, std::vector<Bytes>& out) {
  Bytes copy(piece.begin(), piece.end());  // its bytes go away after the call
  framer.feed(copy);
  ByteView message;
  Result result;
  while ((result = framer.next(message)) == Result::kMessage) {
    out.emplace_back(message.begin(), message.end());
  }
  if (result == Result::kGarbage) return false;
  framer.keep_rest();
  return true;
}

TEST(StreamFramer, CutsWhatArrivesAtOnce) {
  const Wire wire = conversation();
  StreamFramer framer;
  std::vector<Bytes> out;
  ASSERT_TRUE(feed(framer, wire.bytes, out));
  EXPECT_EQ(out, wire.messages);
  EXPECT_EQ(framer.buffered(), 0u);
}

TEST(StreamFramer, CutsWhatIsSplitAtAnyByte) {
  const Wire wire = conversation();
  for (std::size_t at = 0; at <= wire.bytes.size(); ++at) {
    StreamFramer framer;
    std::vector<Bytes> out;
    ASSERT_TRUE(feed(framer, ByteView(wire.bytes).first(at), out));
    ASSERT_TRUE(feed(framer, ByteView(wire.bytes).subspan(at), out));
    ASSERT_EQ(out, wire.messages) << at;
    ASSERT_EQ(framer.buffered(), 0u);
  }
}

TEST(StreamFramer, CutsWhatDribblesInPiecesOfAnySize) {
  const Wire wire = conversation();
  for (std::size_t piece = 1; piece < 40; ++piece) {
    StreamFramer framer;
    std::vector<Bytes> out;
    for (std::size_t at = 0; at < wire.bytes.size(); at += piece) {
      const std::size_t size = std::min(piece, wire.bytes.size() - at);
      ASSERT_TRUE(feed(framer, ByteView(wire.bytes).subspan(at, size), out));
    }
    ASSERT_EQ(out, wire.messages) << piece;
  }
}

TEST(StreamFramer, ViewsOfSeveralMessagesAreGoodUntilTheRestIsKept) {
  const Bytes first = channel_message(0x4000, filled(5, 'a'), 3);
  const Bytes second = channel_message(0x4000, filled(8, 'b'));
  StreamFramer framer;
  ByteView a, b;
  framer.feed(ByteView(first).first(6));
  ASSERT_EQ(framer.next(a), Result::kNeedMore);
  framer.keep_rest();
  Bytes rest(first.begin() + 6, first.end());
  rest.insert(rest.end(), second.begin(), second.end());
  framer.feed(rest);
  ASSERT_EQ(framer.next(a), Result::kMessage);
  ASSERT_EQ(framer.next(b), Result::kMessage);
  EXPECT_EQ(text_of(a.subspan(4)), "aaaaa");
  EXPECT_EQ(text_of(b.subspan(4)), "bbbbbbbb");
}

TEST(StreamFramer, WhatIsNeitherStunNorChannelDataIsGarbage) {
  for (const std::string_view text : {"\x16\x03\x01", "\x04", "\x14", "\x3f", "\x80", "\xff\xff"}) {
    StreamFramer framer;
    std::vector<Bytes> out;
    EXPECT_FALSE(feed(framer, as_bytes(text), out)) << text;
    EXPECT_TRUE(out.empty());
  }
}

TEST(StreamFramer, StunWithoutItsCookieOrWithAnOddLengthIsGarbage) {
  Bytes cookie = binding();
  cookie[4] ^= 1;
  Bytes odd = binding();
  odd[3] = static_cast<std::uint8_t>(odd[3] + 2);
  for (const Bytes& bytes : {cookie, odd}) {
    StreamFramer framer;
    std::vector<Bytes> out;
    EXPECT_FALSE(feed(framer, bytes, out));
    StreamFramer slow;
    bool fine = true;
    for (std::size_t i = 0; i < bytes.size() && fine; ++i) {
      fine = feed(slow, ByteView(bytes).subspan(i, 1), out);
    }
    EXPECT_FALSE(fine);
  }
}

TEST(StreamFramer, GarbageBehindAMessageIsFoundAfterTheMessage) {
  Bytes bytes = binding();
  bytes.push_back(0xff);
  StreamFramer framer;
  std::vector<Bytes> out;
  EXPECT_FALSE(feed(framer, bytes, out));
  EXPECT_EQ(out.size(), 1u);
}

TEST(StreamFramer, LargestChannelDataPassesAndALargerStunIsGarbage) {
  StreamFramer framer;
  std::vector<Bytes> out;
  Wire wire;
  wire.add(channel_message(0x4000, filled(65535)));
  EXPECT_EQ(wire.bytes.size(), StreamFramer::kMaxMessage);
  ASSERT_TRUE(feed(framer, ByteView(wire.bytes).first(40000), out));
  EXPECT_LE(framer.buffered(), StreamFramer::kMaxMessage);
  ASSERT_TRUE(feed(framer, ByteView(wire.bytes).subspan(40000), out));
  EXPECT_EQ(out, wire.messages);
  Bytes large = binding();
  large[2] = 0xff;
  large[3] = 0xfc;
  EXPECT_FALSE(feed(framer, large, out));
}

}  // namespace
}  // namespace turnpike::turn
