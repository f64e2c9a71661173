// The pieces that the parsers of requests and of responses are made of, private to http.cc: a
// scanner of heads and a decoder of chunked bodies. Values only; single thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "signaling/http.h"

namespace turnpike::signaling::http {

inline char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

inline int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Looks at every byte of a head once, as it comes: finds its end and refuses what line based and
// byte based parsers read differently (a CR or LF alone, folded lines, control characters).
class HeadScanner {
 public:
  enum class Verdict : std::uint8_t { kGoOn, kEnd, kSkipBlankLine, kRefuse };
  enum class FirstLine : std::uint8_t { kRequest, kStatus };

  explicit HeadScanner(FirstLine first_line = FirstLine::kRequest) : first_line_(first_line) {}

  unsigned status() const { return status_; }
  bool in_blank_prefix() const { return line_ == 0 && column_ == 0; }

  Verdict take(char c) {
    if (++size_ > RequestParser::kMaxHead) return refuse(431);
    if (after_cr_) {
      if (c != '\n') return refuse(400);
      after_cr_ = false;
      return end_line();
    }
    if (c == '\r') {
      after_cr_ = true;
      return Verdict::kGoOn;
    }
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7f) return refuse(400);
    if (line_ == 0)
      return first_line_ == FirstLine::kRequest ? in_request_line(c) : in_status_line();
    if (column_++ == 0 && (c == ' ' || c == '\t')) return refuse(400);
    return Verdict::kGoOn;
  }

 private:
  Verdict refuse(unsigned status) {
    status_ = status;
    return Verdict::kRefuse;
  }
  Verdict end_line() {
    const bool blank = column_ == 0;
    column_ = 0;
    if (!blank) {
      ++line_;
      return Verdict::kGoOn;
    }
    if (line_ > 0) return Verdict::kEnd;
    size_ = 0;
    if (++blank_lines_ > RequestParser::kMaxBlankLines) return refuse(400);
    return Verdict::kSkipBlankLine;
  }
  Verdict in_status_line() {
    ++column_;
    return Verdict::kGoOn;
  }
  Verdict in_request_line(char c) {
    ++column_;
    if (c == ' ') {
      if (++blanks_ > 2) return refuse(400);
      return Verdict::kGoOn;
    }
    if (blanks_ == 0 && ++method_ > RequestParser::kMaxMethod) return refuse(400);
    if (blanks_ == 1 && ++target_ > RequestParser::kMaxTarget) return refuse(414);
    return Verdict::kGoOn;
  }

  FirstLine first_line_;
  std::size_t size_ = 0;
  std::size_t line_ = 0;
  std::size_t column_ = 0;
  std::size_t method_ = 0;
  std::size_t target_ = 0;
  std::size_t blanks_ = 0;
  std::size_t blank_lines_ = 0;
  bool after_cr_ = false;
  unsigned status_ = 400;
};

// A chunked body (RFC 9112 section 7.1), byte by byte:
//
//    chunk-size [ ";" extension ] CRLF data CRLF ... "0" [ ";" extension ] CRLF CRLF
//
// Extensions are skipped; a trailer is refused, nobody here asked for one.
class ChunkDecoder {
 public:
  enum class Verdict : std::uint8_t { kGoOn, kEnd, kRefuse };

  void limit(std::size_t body) { max_body_ = body; }
  unsigned status() const { return status_; }

  // Takes from the front of `bytes`; data goes to `body`.
  Verdict take(ByteView& bytes, std::string& body) {
    while (!bytes.empty()) {
      if (at_ == At::kData) {
        take_data(bytes, body);
        continue;
      }
      const char c = static_cast<char>(bytes.front());
      bytes = bytes.subspan(1);
      if (++on_wire_ > RequestParser::kMaxChunkedFactor * max_body_) return refuse(413);
      const Verdict verdict = take_framing(c, body.size());
      if (verdict != Verdict::kGoOn) return verdict;
    }
    return Verdict::kGoOn;
  }

 private:
  enum class At : std::uint8_t { kSize, kExtension, kLineEnd, kData, kDataCr, kDataLf, kCr, kLf };

  Verdict refuse(unsigned status) {
    status_ = status;
    return Verdict::kRefuse;
  }
  Verdict expect(char c, char wanted, At then) {
    if (c != wanted) return refuse(400);
    at_ = then;
    return Verdict::kGoOn;
  }
  void take_data(ByteView& bytes, std::string& body) {
    const std::size_t count = std::min(left_, bytes.size());
    body.append(as_text(bytes.first(count)));
    bytes = bytes.subspan(count);
    on_wire_ += count;
    left_ -= count;
    if (left_ == 0) at_ = At::kDataCr;
  }
  Verdict take_framing(char c, std::size_t body) {
    switch (at_) {
      case At::kSize:
        return take_size(c);
      case At::kExtension:
        return take_extension(c);
      case At::kLineEnd:
        if (c != '\n') return refuse(400);
        if (left_ > max_body_ - body) return refuse(413);
        at_ = left_ > 0 ? At::kData : At::kCr;
        line_ = 0;
        digits_ = 0;
        return Verdict::kGoOn;
      case At::kData:
        break;
      case At::kDataCr:
        return expect(c, '\r', At::kDataLf);
      case At::kDataLf:
        return expect(c, '\n', At::kSize);
      case At::kCr:
        return expect(c, '\r', At::kLf);
      case At::kLf:
        return c == '\n' ? Verdict::kEnd : refuse(400);
    }
    return refuse(400);
  }
  Verdict take_size(char c) {
    constexpr std::size_t kMaxDigits = 8;
    if (const int digit = hex_digit(c); digit >= 0) {
      if (++digits_ > kMaxDigits) return refuse(400);
      left_ = (digits_ == 1 ? 0 : left_) * 16 + static_cast<std::size_t>(digit);
      return Verdict::kGoOn;
    }
    if (digits_ == 0) return refuse(400);
    if (c == '\r') {
      at_ = At::kLineEnd;
    } else if (c == ';') {
      at_ = At::kExtension;
    } else {
      return refuse(400);
    }
    return Verdict::kGoOn;
  }
  Verdict take_extension(char c) {
    if (++line_ > RequestParser::kMaxChunkLine) return refuse(400);
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\r') {
      at_ = At::kLineEnd;
    } else if ((byte < 0x20 && c != '\t') || byte == 0x7f) {
      return refuse(400);
    }
    return Verdict::kGoOn;
  }

  At at_ = At::kSize;
  std::size_t max_body_ = RequestParser::kMaxBody;
  std::size_t left_ = 0;
  std::size_t digits_ = 0;
  std::size_t line_ = 0;
  std::size_t on_wire_ = 0;
  unsigned status_ = 400;
};

}  // namespace turnpike::signaling::http
