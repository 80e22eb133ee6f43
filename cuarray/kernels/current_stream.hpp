// The stream that this thread's work is queued on: one variable for Python, njit and C++. 0: the legacy default stream.
#pragma once

namespace ca {

// Local to a function because the JIT cannot link thread_local variables of a namespace.
__attribute__((noinline)) inline void*& current_stream() noexcept {
  static thread_local void* stream = nullptr;
  return stream;
}
inline void* get_current_stream() noexcept { return current_stream(); }
inline void set_current_stream(void* stream) noexcept { current_stream() = stream; }

// Where this thread's variable is, for those who read it often.
inline unsigned long current_stream_cell() noexcept { return reinterpret_cast<unsigned long>(&current_stream()); }

}  // namespace ca
