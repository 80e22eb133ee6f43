// Asynchronous copies for the host: what is not waited for is not there. Copies are done when they are waited for, so that
// a kernel which reads too early reads what was there before.
#pragma once
#include <cstring>
#include <vector>

namespace ca::host {

class AsyncCopies {
 public:
  template <int Bytes> void start(void* to, const void* from, int there = Bytes) {
    pending_.push_back({to, from, Bytes, there, groups_});
  }
  void commit() { ++groups_; }
  template <int N> void wait() {
    std::size_t kept = 0;
    for (const Copy& copy : pending_) {
      if (copy.group + N >= groups_) {
        pending_[kept++] = copy;
        continue;
      }
      std::memcpy(copy.to, copy.from, std::size_t(copy.there));
      std::memset(static_cast<char*>(copy.to) + copy.there, 0, std::size_t(copy.bytes - copy.there));
    }
    pending_.resize(kept);
  }

 private:
  struct Copy {
    void* to;
    const void* from;
    int bytes, there, group;
  };
  std::vector<Copy> pending_;
  int groups_ = 0;
};

}  // namespace ca::host
