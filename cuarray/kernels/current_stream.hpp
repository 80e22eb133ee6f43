// The stream that this thread's work is queued on: one variable for Python, njit and C++. 0: the legacy default stream.
#pragma once
#include "process_wide.hpp"

namespace ca {

CA_THREAD_WIDE(void*, current_stream_place)
inline void*& current_stream() noexcept { return *current_stream_place(); }
inline void* get_current_stream() noexcept { return current_stream(); }
inline void set_current_stream(void* stream) noexcept { current_stream() = stream; }

// Where this thread's variable is, for those who read it often.
inline unsigned long current_stream_cell() noexcept { return reinterpret_cast<unsigned long>(&current_stream()); }

}  // namespace ca
