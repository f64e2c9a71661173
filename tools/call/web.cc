#include "tools/call/web.h"

#include <charconv>
#include <utility>

namespace turnpike::call {

using load::ByteStream;
namespace frames = signal_load;

WebConnection::~WebConnection() { close(); }

bool WebConnection::open(const WebTarget& target) {
  auto stream = ByteStream::open({.from = target.from,
                                  .server = target.address,
                                  .context = target.context,
                                  .name = target.name});
  if (!stream || !loop_.add((*stream)->fd(), *this, Loop::Interest::kReadWrite)) {
    on_lost(stream ? "no more sockets" : stream.error().message);
    return false;
  }
  stream_ = std::move(*stream);
  writing_ = true;
  return true;
}

void WebConnection::send(std::string_view bytes) {
  if (stream_ == nullptr) return;
  stream_->append(as_bytes(bytes));
  stream_->flush();
  note_interest();
}

void WebConnection::close() {
  if (stream_ == nullptr) return;
  stream_->flush();
  loop_.remove(stream_->fd(), *this);
  stream_.reset();
}

void WebConnection::on_ready() {
  if (stream_->advance() && !std::exchange(connected_, true)) on_connected();
  if (stream_ == nullptr) return;
  stream_->flush();
  while (stream_ != nullptr && stream_->is_open()) {
    const ByteView bytes = stream_->read_some();
    if (bytes.empty()) break;
    on_bytes(as_text(bytes));
  }
  if (stream_ == nullptr) return;
  if (!stream_->has_failed()) return note_interest();
  const std::string why = stream_->reason();
  close();
  on_lost(why);
}

void WebConnection::note_interest() {
  const bool wants = stream_->wants_write();
  if (std::exchange(writing_, wants) == wants) return;
  loop_.change(stream_->fd(), *this, wants ? Loop::Interest::kReadWrite : Loop::Interest::kRead);
}

void WebSocket::open(const WebTarget& target, const std::string& path) {
  authority_ = target.authority;
  path_ = path;
  WebConnection::open(target);
}

void WebSocket::say(std::string_view text) {
  if (!open_) return;
  std::string frame;
  frames::append_frame(frame, frames::Opcode::kText, text);
  send(frame);
}

void WebSocket::hang_up() {
  over_ = true;
  open_ = false;
  close();
}

void WebSocket::on_connected() { send(frames::handshake_request(authority_, path_)); }

void WebSocket::on_bytes(std::string_view bytes) {
  in_.append(bytes);
  if (!open_ && !take_handshake()) return;
  while (!over_ && take_frame()) {
  }
}

bool WebSocket::take_handshake() {
  const frames::HandshakeAnswer answer = frames::read_handshake(in_);
  if (answer.verdict == frames::Handshake::kUnfinished) return false;
  in_.erase(0, answer.size);
  if (answer.verdict == frames::Handshake::kRefused) {
    lose("the server answers: " + answer.reason);
    return false;
  }
  open_ = true;
  owner_.on_web_open();
  return true;
}

bool WebSocket::take_frame() {
  frames::Frame frame;
  const frames::Reading reading = frames::read_frame(in_, frame);
  if (reading == frames::Reading::kBroken) lose("the server breaks the WebSocket protocol");
  if (reading != frames::Reading::kWhole) return false;
  const std::string payload(frame.payload);
  const frames::Opcode opcode = frame.opcode;
  const bool final = frame.final;
  in_.erase(0, frame.size);
  if (opcode == frames::Opcode::kPing) {
    std::string pong;
    frames::append_frame(pong, frames::Opcode::kPong, payload);
    send(pong);
  } else if (opcode == frames::Opcode::kClose) {
    const int code = payload.size() < 2 ? 1005
                                        : static_cast<std::uint8_t>(payload[0]) * 256 +
                                              static_cast<std::uint8_t>(payload[1]);
    lose("closed by the server with " + std::to_string(code));
  } else if (opcode == frames::Opcode::kText || opcode == frames::Opcode::kContinuation) {
    if (message_.size() + payload.size() > frames::kMaxFrame) {
      lose("the server sends too long a message");
      return false;
    }
    message_.append(payload);
    if (final) owner_.on_web_text(std::exchange(message_, {}));
  }
  return true;
}

void WebSocket::on_lost(const std::string& why) { lose(why); }

void WebSocket::lose(const std::string& why) {
  if (std::exchange(over_, true)) return;
  open_ = false;
  close();
  owner_.on_web_lost(why);
}

std::optional<HttpAnswer> parse_http_answer(std::string_view bytes) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view head = bytes.substr(0, end);
  HttpAnswer answer;
  if (!head.starts_with("HTTP/1.1 ") || head.size() < 12 ||
      std::from_chars(head.data() + 9, head.data() + 12, answer.status).ec != std::errc{}) {
    return HttpAnswer{.status = 0, .body = "it does not speak HTTP"};
  }
  std::size_t length = 0;
  constexpr std::string_view kLength = "\r\ncontent-length:";
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos;
       at = head.find("\r\n", at + 2)) {
    if (at + kLength.size() > head.size()) break;
    std::string name(head.substr(at, kLength.size()));
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (name != kLength) continue;
    std::string_view value = head.substr(at + kLength.size());
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    std::from_chars(value.data(), value.data() + value.size(), length);
  }
  const std::string_view body = bytes.substr(end + 4);
  if (body.size() < length) return std::nullopt;
  answer.body = body.substr(0, length);
  return answer;
}

void HttpRequest::send_to(const WebTarget& target, const Wish& wish) {
  request_ = wish.method + " " + wish.path + " HTTP/1.1\r\nHost: " + target.authority +
             "\r\nConnection: close\r\n";
  if (!wish.key.empty()) request_ += "Authorization: Bearer " + wish.key + "\r\n";
  if (!wish.body.empty()) {
    request_ +=
        "Content-Type: application/json\r\nContent-Length: " + std::to_string(wish.body.size()) +
        "\r\n";
  }
  request_ += "\r\n" + wish.body;
  open(target);
}

void HttpRequest::on_bytes(std::string_view bytes) {
  in_.append(bytes);
  if (in_.size() > kMaxAnswer) return finish({.status = 0, .body = "too long an answer"});
  if (const auto answer = parse_http_answer(in_)) finish(*answer);
}

void HttpRequest::on_lost(const std::string& why) { finish({.status = 0, .body = why}); }

void HttpRequest::finish(const HttpAnswer& answer) {
  close();
  if (const Done done = std::exchange(done_, nullptr)) done(answer);
}

}  // namespace turnpike::call
