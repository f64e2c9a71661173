// Findings: what an audit found to be wrong, as sentences for the operator of the server. An audit
// looks at a state and changes nothing; where all is as it should be it finds nothing. The first
// sentences are kept, the rest is counted. Values only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace turnpike {

class Findings {
 public:
  static constexpr std::size_t kMaxSentences = 100;

  void add(std::string sentence) {
    ++count_;
    if (sentences_.size() < kMaxSentences) sentences_.push_back(std::move(sentence));
  }
  void append(const Findings& others) {
    for (const std::string& sentence : others.sentences_) add(sentence);
    count_ += others.count_ - others.sentences_.size();
  }
  // Two counts of the same thing: "allocations: 3 counted, 2 there".
  void expect_equal(const std::string& what, std::uint64_t counted, std::uint64_t there) {
    if (counted == there) return;
    add(what + ": " + std::to_string(counted) + " counted, " + std::to_string(there) + " there");
  }

  bool none() const { return count_ == 0; }
  std::size_t count() const { return count_; }
  const std::vector<std::string>& sentences() const { return sentences_; }

 private:
  std::size_t count_ = 0;
  std::vector<std::string> sentences_;
};

}  // namespace turnpike
