// Functions of numbers, as functions that Python can call: over CPython's API, without its headers, which need not be
// installed. A call takes 50 ns; a call by ctypes takes up to 1 us.
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace ca::python_functions {

struct Object;
struct Method {  // PyMethodDef
  const char* name;
  Object* (*call)(Object* self, Object* const* args, std::intptr_t count);
  int flags;
  const char* doc;
};
constexpr int fast_call = 0x80;  // METH_FASTCALL

extern Object none asm("_Py_NoneStruct");
extern Object* type_error asm("PyExc_TypeError");
void incref(Object*) asm("Py_IncRef");
unsigned long word_of(Object*) asm("PyLong_AsUnsignedLongMask");
Object* from_signed(long) asm("PyLong_FromLong");
Object* from_unsigned(unsigned long) asm("PyLong_FromUnsignedLong");
Object* error_occurred() asm("PyErr_Occurred");
void set_error(Object* type, const char* message) asm("PyErr_SetString");
void* release_gil() asm("PyEval_SaveThread");
void take_gil(void*) asm("PyEval_RestoreThread");

inline Object* to_python(unsigned long value) { return from_unsigned(value); }
inline Object* to_python(int value) { return from_signed(value); }
inline Object* to_python(bool value) { return from_signed(value); }
template <class T> Object* to_python(T* value) { return from_unsigned(reinterpret_cast<unsigned long>(value)); }

// `Long`: it is called without the GIL.
template <auto F, bool Long, class Type = decltype(F)> struct Function;
template <auto F, bool Long, class R, class... A> struct Function<F, Long, R (*)(A...) noexcept> {
  static Object* call(Object*, Object* const* args, std::intptr_t count) {
    return call(args, count, std::index_sequence_for<A...>());
  }

 private:
  template <std::size_t... I> static Object* call(Object* const* args, std::intptr_t count, std::index_sequence<I...>) {
    if (count != sizeof...(A)) return set_error(type_error, "a native function takes another number of ints"), nullptr;
    const unsigned long words[] = {word_of(args[I])..., 0};
    bool suspicious = false;
    for (unsigned long word : words) suspicious |= word == ~0ul;
    if (suspicious && error_occurred()) return nullptr;
    void* state = Long ? release_gil() : nullptr;
    if constexpr (std::is_void_v<R>) {
      F((A)words[I]...);
      if (Long) take_gil(state);
      incref(&none);
      return &none;
    } else {
      const R result = F((A)words[I]...);
      if (Long) take_gil(state);
      return to_python(result);
    }
  }
};

}  // namespace ca::python_functions
