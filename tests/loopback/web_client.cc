#include "tests/loopback/web_client.h"

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "tests/loopback/test_server.h"

namespace turnpike::loopback {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::uint8_t kText = 0x1;

std::size_t content_length(const std::string& head) {
  for (const char* name : {"Content-Length: ", "content-length: "}) {
    const auto at = head.find(name);
    if (at != std::string::npos) return std::strtoul(head.c_str() + at + 16, nullptr, 10);
  }
  return 0;
}

}  // namespace

HttpAnswer ask(RawConnection& connection, std::string_view request) {
  HttpAnswer answer;
  if (!connection.write(request)) return answer;
  std::string text = connection.read_until(kHeadEnd);
  const auto end = text.find(kHeadEnd);
  if (end == std::string::npos) return answer;
  answer.head = text.substr(0, end + 2);
  answer.body = text.substr(end + kHeadEnd.size());
  answer.status = std::atoi(answer.head.substr(answer.head.find(' ') + 1, 3).c_str());
  const std::size_t length = content_length(answer.head);
  while (answer.body.size() < length) {
    const Bytes more = connection.read();
    if (more.empty()) break;
    answer.body.append(more.begin(), more.end());
  }
  return answer;
}

HttpAnswer get(RawConnection& connection, std::string_view path) {
  return ask(connection, "GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

HttpAnswer post_json(RawConnection& connection, std::string_view path, std::string_view body) {
  return ask(connection, "POST " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n" +
                             "Authorization: Bearer " + kApiKey +
                             "\r\nContent-Type: application/json\r\nContent-Length: " +
                             std::to_string(body.size()) + "\r\n\r\n" + std::string(body));
}

std::unique_ptr<WebSocket> WebSocket::open(std::unique_ptr<RawConnection> connection,
                                           std::string_view path) {
  if (!connection) return nullptr;
  const HttpAnswer answer =
      ask(*connection, "GET " + std::string(path) +
                           " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                           "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  if (answer.status != 101) return nullptr;
  auto socket = std::unique_ptr<WebSocket>(new WebSocket(std::move(connection)));
  socket->buffer_ = answer.body;
  return socket;
}

// Masked with a key of zeros, which is legal and leaves the bytes as they are.
bool WebSocket::send(std::string_view text) {
  Bytes frame(text.size() + 14);
  Writer out(frame);
  out.u8(0x80 | kText);
  if (text.size() < 126) {
    out.u8(static_cast<std::uint8_t>(0x80 | text.size()));
  } else {
    out.u8(0x80 | 126);
    out.u16(static_cast<std::uint16_t>(text.size()));
  }
  out.u32(0);
  out.bytes(as_bytes(text));
  return connection_->write(out.written());
}

std::optional<std::string> WebSocket::receive() {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    Reader in(as_bytes(std::string_view(buffer_)));
    const std::uint8_t first = in.u8();
    std::size_t length = in.u8();
    if (length == 126) length = in.u16();
    const ByteView payload = in.bytes(length);
    if (in.ok()) {
      std::string text(as_text(payload));
      buffer_.erase(0, in.position());
      if ((first & 0x0F) == kText) return text;
      continue;
    }
    if (connection_->ended() || std::chrono::steady_clock::now() > until) return std::nullopt;
    const Bytes more = connection_->read(std::chrono::milliseconds(500));
    buffer_.append(more.begin(), more.end());
  }
}

std::optional<std::string> WebSocket::receive_type(std::string_view type) {
  while (auto text = receive()) {
    if (nlohmann::json::parse(*text).value("type", "") == type) return text;
  }
  return std::nullopt;
}

}  // namespace turnpike::loopback
