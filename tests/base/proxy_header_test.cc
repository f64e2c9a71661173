#include "base/proxy_header.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace turnpike {
namespace {

using Result = ProxyHeader::Result;
using namespace std::string_literals;

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string binary(char command, char family, const std::string& rest) {
  const auto size = static_cast<unsigned>(rest.size());
  return kSignature + command + family + static_cast<char>(size >> 8) + static_cast<char>(size) +
         rest;
}

struct Reading {
  Result result = Result::kMore;
  std::string client;  // "" for none
  std::size_t taken = 0;
  bool operator==(const Reading&) const = default;
};

Reading read(const std::string& bytes, std::size_t piece) {
  ProxyHeader header;
  Reading reading;
  for (std::size_t at = 0; at < bytes.size() && reading.result == Result::kMore; at += piece) {
    std::size_t taken = 0;
    reading.result = header.feed(as_bytes(std::string_view(bytes).substr(at, piece)), taken);
    reading.taken += taken;
  }
  if (header.client()) reading.client = header.client()->to_string();
  return reading;
}

// The same however it is cut.
Reading read(const std::string& bytes) {
  const Reading whole = read(bytes, bytes.size() + 1);
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    EXPECT_EQ(read(bytes, piece), whole) << "cut every " << piece << " bytes";
  }
  return whole;
}

void is_of(const std::string& header, const std::string& client) {
  const Reading reading = read(header + "\x16\x03\x01rest");
  EXPECT_EQ(reading.result, Result::kDone) << header;
  EXPECT_EQ(reading.client, client) << header;
  EXPECT_EQ(reading.taken, header.size()) << "what follows is the connection's";
}

TEST(ProxyHeader, ALineNamesTheClient) {
  is_of("PROXY TCP4 192.0.2.1 203.0.113.10 50000 3478\r\n", "192.0.2.1:50000");
  is_of("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", "[2001:db8::1]:1");
  is_of(
      "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
      "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

TEST(ProxyHeader, AnUnknownLineNamesNobody) {
  is_of("PROXY UNKNOWN\r\n", "");
  is_of("PROXY UNKNOWN ffff::1 whatever it says\r\n", "");
}

TEST(ProxyHeader, WrongLinesAreInvalid) {
  for (const char* line :
       {"GET / HTTP/1.1\r\n", "PROXY\r\n", "PROXY \r\n", "PROXY TCP4\r\n", "proxy TCP4 1.1.1.1",
        "PROXY TCP4 192.0.2.1 203.0.113.10 50000\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.10 50000 3478 9\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.10 50000 3478\n",
        "PROXY TCP4  192.0.2.1 203.0.113.10 50000 3478\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.10 65536 3478\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.10 050 3478\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.10 -1 3478\r\n",
        "PROXY TCP4 192.0.2.300 203.0.113.10 5 3478\r\n", "PROXY TCP4 192.0.2.1 nobody 5 3478\r\n",
        "PROXY TCP4 2001:db8::1 2001:db8::2 5 6\r\n", "PROXY TCP6 192.0.2.1 203.0.113.10 5 6\r\n",
        "PROXY TCP6 [2001:db8::1] 2001:db8::2 5 6\r\n",
        "PROXY UDP4 192.0.2.1 203.0.113.10 5 6\r\n"}) {
    EXPECT_EQ(read(line).result, Result::kInvalid) << line;
  }
  const std::string longest = "PROXY UNKNOWN " + std::string(ProxyHeader::kMaxLine - 16, 'x');
  is_of(longest + "\r\n", "");
  EXPECT_EQ(read(longest + "x\r\n").result, Result::kInvalid);
}

TEST(ProxyHeader, BinaryNamesTheClient) {
  const std::string v4 = "\xC0\x00\x02\x01\xCB\x00\x71\x0A\xC3\x50\x0D\x96"s;
  is_of(binary('\x21', '\x11', v4), "192.0.2.1:50000");
  is_of(binary('\x21', '\x11', v4 + "\x03\x00\x04\x01\x02\x03\x04"s), "192.0.2.1:50000");
  const std::string from = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01"s;
  const std::string to = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x02"s;
  is_of(binary('\x21', '\x21', from + to + "\x00\x01\xFF\xFF"s), "[2001:db8::1]:1");
}

TEST(ProxyHeader, MappedClientsAreIPv4) {
  const std::string mapped = std::string(10, '\0') + "\xFF\xFF\xC0\x00\x02\x01"s;
  is_of(binary('\x21', '\x21', mapped + mapped + "\x00\x01\xFF\xFF"s), "192.0.2.1:1");
  is_of("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 5 6\r\n", "192.0.2.1:5");
}

TEST(ProxyHeader, LocalAndForeignFamiliesNameNobody) {
  is_of(binary('\x20', '\x00', ""), "");
  is_of(binary('\x20', '\x11', std::string(12, 'a')), "");
  is_of(binary('\x21', '\x00', ""), "");
  is_of(binary('\x21', '\x31', std::string(216, 'a')), "");
}

TEST(ProxyHeader, WrongBinariesAreInvalid) {
  const std::string v4(12, '\1');
  EXPECT_EQ(read(binary('\x11', '\x11', v4)).result, Result::kInvalid) << "version 1";
  EXPECT_EQ(read(binary('\x22', '\x11', v4)).result, Result::kInvalid) << "unknown command";
  EXPECT_EQ(read(binary('\x21', '\x12', v4)).result, Result::kInvalid) << "datagrams";
  EXPECT_EQ(read(binary('\x21', '\x11', std::string(11, '\1'))).result, Result::kInvalid);
  EXPECT_EQ(read(binary('\x21', '\x21', std::string(35, '\1'))).result, Result::kInvalid);
  EXPECT_EQ(read("\r\n\r\n\0\r\nQUIX"s).result, Result::kInvalid);
  is_of(binary('\x20', '\x00', std::string(4096, 'a')), "");
  EXPECT_EQ(read(binary('\x20', '\x00', std::string(4097, 'a')), 64).result, Result::kInvalid);
}

TEST(ProxyHeader, WaitsForTheLastByte) {
  const std::string line = "PROXY TCP4 192.0.2.1 203.0.113.10 50000 3478\r\n";
  const std::string frame = binary('\x21', '\x11', std::string(12, '\1'));
  for (const std::string& header : {line, frame}) {
    for (std::size_t cut = 0; cut < header.size(); ++cut) {
      EXPECT_EQ(read(header.substr(0, cut), 1).result, Result::kMore) << cut;
    }
  }
}

}  // namespace
}  // namespace turnpike
