// Launches as Python makes them: by the address of a record of 64-bit words (_runtime/glue.py says what they are).
#pragma once
#include <cstring>

#include "transfers.hpp"

namespace ca {

struct LaunchRecord {
  long launcher, function, grid[3], block[3], shared_bytes, count;
  long words[];  // `count`
};
using Launcher = int(void* function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned shared_bytes,
                     void* stream, void** parameters, void** extra);
constexpr int head_words = 7;

inline int launch_record(const LaunchRecord& record, unsigned long stream, void** parameters) noexcept {
  return reinterpret_cast<Launcher*>(record.launcher)(
      reinterpret_cast<void*>(record.function), record.grid[0], record.grid[1], record.grid[2], record.block[0],
      record.block[1], record.block[2], record.shared_bytes, reinterpret_cast<void*>(stream), parameters, nullptr);
}

// A built-in kernel has one parameter, by value: `count` words from the address `head`, and those of the record.
inline int launch_with_head(unsigned long address, unsigned long stream, unsigned long head,
                            unsigned long count) noexcept {
  const LaunchRecord& record = *reinterpret_cast<const LaunchRecord*>(address);
  const auto* words = reinterpret_cast<const unsigned long*>(head);
  take_back(words, count, reinterpret_cast<void*>(stream));
  const std::size_t bytes = count * sizeof *words;
  auto* parameter = static_cast<char*>(__builtin_alloca_with_align(bytes + record.count * sizeof(long), 8 * 16));
  std::memcpy(parameter, words, bytes);
  std::memcpy(parameter + bytes, record.words, record.count * sizeof(long));
  void* parameters[] = {parameter};
  return launch_record(record, stream, parameters);
}

// The same for the head that most kernels have.
inline int launch_builtin(unsigned long address, unsigned long stream, unsigned long out, unsigned long a,
                          unsigned long b, unsigned long c, unsigned long a2, unsigned long b2,
                          unsigned long c2) noexcept {
  const unsigned long head[head_words] = {out, a, b, c, a2, b2, c2};
  return launch_with_head(address, stream, reinterpret_cast<unsigned long>(head), head_words);
}

// The words of a user's kernel are the offsets of its arguments from `slots`.
inline int launch_user(unsigned long address, unsigned long stream, unsigned long slots) noexcept {
  const LaunchRecord& record = *reinterpret_cast<const LaunchRecord*>(address);
  auto** parameters = static_cast<void**>(__builtin_alloca((record.count + 1) * sizeof(void*)));
  for (long k = 0; k < record.count; ++k) parameters[k] = reinterpret_cast<void*>(slots + record.words[k]);
  return launch_record(record, stream, parameters);
}

}  // namespace ca
