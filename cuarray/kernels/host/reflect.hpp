// What Python asks of a kernel instance: its full name and the types of its parameters.
#pragma once
#include <cxxabi.h>

#include <string>
#include <typeinfo>

#include "../complex.cuh"
#include "grid.hpp"

namespace ca::host {

// A Python scalar in a call whose other arguments decide the types: it becomes any number that a parameter is.
struct Weak {
  template <class T, class = std::enable_if_t<std::is_arithmetic_v<T> || is_complex<T> || std::is_same_v<T, float16>>>
  operator T() const;
};

// A parameter as one word: the kind and size of a number ("i4", "f8", "c16", "b1"), "P" and "const" or "mutable" and
// the pointee for a pointer, "S", size and alignment for anything else.
template <class T> std::string describe_value() {
  using U = std::remove_cv_t<T>;
  const std::string bytes = std::to_string(sizeof(U));
  if constexpr (std::is_same_v<U, bool>) return "b1";
  else if constexpr (std::is_same_v<U, float16>) return "f2";
  else if constexpr (is_complex<U>) return "c" + bytes;
  else if constexpr (std::is_floating_point_v<U>) return "f" + bytes;
  else if constexpr (std::is_enum_v<U> || std::is_integral_v<U>) return (std::is_signed_v<U> ? "i" : "u") + bytes;
  else return "S" + bytes + ":" + std::to_string(alignof(U));
}
template <class T> std::string describe() {
  if constexpr (std::is_pointer_v<T>) {
    using Pointee = std::remove_pointer_t<T>;
    const std::string kind = std::is_const_v<Pointee> ? "Pconst " : "Pmutable ";
    if constexpr (std::is_void_v<Pointee>) return kind + "void";
    else if constexpr (std::is_pointer_v<Pointee> || std::is_function_v<Pointee>) return kind + "pointer";
    else return kind + describe_value<Pointee>();
  } else {
    return describe_value<T>();
  }
}

// The mangled name of a thunk holds the kernel's template arguments, which no other portable spelling does.
// Thunk is always named as a type of its own: to name F again here would instantiate the kernel's body for the host.
template <class Function> struct parameters;
template <class... A> struct parameters<void (*)(A...)> {
  static std::string describe_all() { return (std::string() + ... + ("\n" + describe<A>())); }
};
template <class Thunk> unsigned long reflect() {
  static const std::string result = [] {
    int status = 0;
    char* demangled = abi::__cxa_demangle(typeid(Thunk*).name(), nullptr, nullptr, &status);
    std::string text = demangled ? demangled : "";
    std::free(demangled);
    return text + parameters<typename Thunk::function_type>::describe_all();
  }();
  return reinterpret_cast<unsigned long>(result.c_str());
}

// The extents and the element of a variable, like "4,3|f4"; "|i4" for one that is no array.
template <class T> std::string describe_variable() {
  if constexpr (std::is_array_v<T>) {
    const std::string inner = describe_variable<std::remove_extent_t<T>>();
    return std::to_string(std::extent_v<T>) + (inner[0] == '|' ? "" : ",") + inner;
  } else {
    return "|" + describe<std::remove_cv_t<T>>();
  }
}
template <class T> unsigned long reflect_variable() {
  static const std::string result = describe_variable<T>();
  return reinterpret_cast<unsigned long>(result.c_str());
}

}  // namespace ca::host
