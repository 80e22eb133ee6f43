// Variables that a process has once, and those that each of its threads has once, whoever compiled the code that asks.
//
// Two compilers make code for one process: the system's, which makes the native library (native_library.cpp), and
// Cling. Where the library is loaded, CA_NATIVE_LOADED is defined and Cling's code calls the library's functions.
// Local to functions because the JIT cannot link thread_local variables of a namespace.
#pragma once

#ifdef CA_NATIVE_LOADED
#define CA_PROCESS_WIDE(type, name, ...) type& name() noexcept;
#define CA_THREAD_WIDE(type, name) __attribute__((const)) type* name() noexcept;
#else
#define CA_PROCESS_WIDE(type, name, ...)                \
  __attribute__((noinline)) inline type& name() noexcept { \
    static type variable{__VA_ARGS__};                  \
    return variable;                                    \
  }
// `const`: the compiler may call it once in a function, which stays on its thread.
#define CA_THREAD_WIDE(type, name)                                \
  __attribute__((const, noinline)) inline type* name() noexcept { \
    static thread_local type variable{};                          \
    return &variable;                                             \
  }
#endif
