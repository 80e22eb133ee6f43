// What Python asks of a kernel instance: its full name and the types of its parameters.
#pragma once
#include <cxxabi.h>

#include <cstdlib>
#include <string>
#include <typeinfo>

#include "../complex.cuh"
#include "../view.cuh"
#include "grid.hpp"

// CUDA's 16-bit types. Where cuda_fp16.h or cuda_bf16.h was not included they stay incomplete, and nothing fits them.
struct __half;
struct __half2;
struct __nv_bfloat16;
struct __nv_bfloat162;

namespace ca::host {

template <class T> inline constexpr bool is_half = std::is_same_v<T, float16> || std::is_same_v<T, __half>;
template <class T> inline constexpr bool is_bfloat16 = std::is_same_v<T, bfloat16> || std::is_same_v<T, __nv_bfloat16>;
template <class T> inline constexpr int view_rank = 0;  // of a span: -1
template <class T, int N> inline constexpr int view_rank<view<T, N>> = N;
template <class T> inline constexpr int view_rank<span<T>> = -1;

// A Python scalar in a call whose other arguments decide the types: it becomes any number that a parameter is.
struct Weak {
  template <class T, class = std::enable_if_t<std::is_arithmetic_v<T> || is_complex<T> || is_half<T> || is_bfloat16<T>>>
  operator T() const;
};

// A structured scalar, or an array of them, whose C++ class is not known: it becomes any class of its size. Whether the
// members are where its dtype has them is looked at afterwards.
template <class T, unsigned long Size> concept Fits = (std::is_class_v<T> || std::is_union_v<T>) && requires {
  sizeof(T);
} && sizeof(T) == Size && std::is_trivially_copyable_v<T>;

template <unsigned long Size> struct Structured {
  template <class T> requires Fits<T, Size> operator T() const;
};
template <unsigned long Size, bool Const, int NDim> struct StructuredArray {
  template <class T> static constexpr bool fits = Fits<std::remove_const_t<T>, Size> && (std::is_const_v<T> || !Const);
  template <class T> requires fits<T> operator T*() const;
  template <class T> requires (fits<T> && NDim == 1) operator span<T>() const;
  template <class T> requires (fits<T> && NDim >= 1) operator view<T, NDim>() const;
  operator std::conditional_t<Const, const void*, void*>() const;
};

inline std::string demangled(const std::type_info& type) {
  int status = 0;
  char* text = abi::__cxa_demangle(type.name(), nullptr, nullptr, &status);
  const std::string result = text ? text : "";
  std::free(text);
  return result;
}

// A parameter as one word: the kind and size of a number ("i4", "f8", "c16", "b1", "bfloat16"); "P", "const" or
// "mutable" and the pointee for a pointer; "V", the same and the rank before the element for a view ("Vconst 2 f4"),
// "R" for a span ("Rmutable f4"); and for any other class "S", size, alignment and name ("S24:8 ns::Particle").
template <class T> std::string describe_class() {
  return "S" + std::to_string(sizeof(T)) + ":" + std::to_string(alignof(T)) + " " + demangled(typeid(T));
}
template <class T> std::string describe_value() {
  using U = std::remove_cv_t<T>;
  if constexpr (std::is_same_v<U, bool>) return "b1";
  else if constexpr (is_half<U>) return "f2";
  else if constexpr (is_bfloat16<U>) return "bfloat16";
  else if constexpr (is_complex<U>) return "c" + std::to_string(sizeof(U));
  else if constexpr (std::is_floating_point_v<U>) return "f" + std::to_string(sizeof(U));
  else if constexpr (std::is_enum_v<U> || std::is_integral_v<U>)
    return (std::is_signed_v<U> || (std::is_enum_v<U> && U(-1) < U(0)) ? "i" : "u") + std::to_string(sizeof(U));
  else if constexpr (requires { sizeof(U); }) return describe_class<U>();
  else return "incomplete";
}
template <class T> std::string describe() {
  using U = std::remove_cv_t<T>;
  if constexpr (std::is_pointer_v<U>) {
    using Pointee = std::remove_pointer_t<U>;
    const std::string kind = std::is_const_v<Pointee> ? "Pconst " : "Pmutable ";
    if constexpr (std::is_void_v<Pointee>) return kind + "void";
    else if constexpr (std::is_pointer_v<Pointee> || std::is_function_v<Pointee>) return kind + "pointer";
    else return kind + describe_value<Pointee>();
  } else if constexpr (view_rank<U> != 0) {
    using Element = typename U::value_type;
    const std::string kind = std::is_const_v<Element> ? "const " : "mutable ";
    if constexpr (view_rank<U> < 0) return "R" + kind + describe_value<Element>();
    else return "V" + kind + std::to_string(view_rank<U>) + " " + describe_value<Element>();
  } else {
    return describe_value<U>();
  }
}

// A data member as its extents and its word: "3,4 f8" for double[3][4], "- f8" for double.
template <class T> std::string describe_member() {
  using Element = std::remove_all_extents_t<T>;
  std::string extents = "-";
  if constexpr (std::is_array_v<T>) {
    extents = std::to_string(std::extent_v<T>);
    if constexpr (std::rank_v<T> > 1) extents += "," + describe_member<std::remove_extent_t<T>>();
  }
  if constexpr (std::rank_v<T> > 1) return extents;
  else if constexpr (view_rank<std::remove_cv_t<Element>> != 0) return extents + " " + describe_class<Element>();
  else return extents + " " + describe<Element>();
}

// The mangled name of a thunk holds the kernel's template arguments, which no other portable spelling does.
// Thunk is always named as a type of its own: to name F again here would instantiate the kernel's body for the host.
template <class Function> struct parameters;
template <class... A> struct parameters<void (*)(A...)> {
  static std::string describe_all() { return (std::string() + ... + ("\n" + describe<A>())); }
};
template <class Thunk> unsigned long reflect() {
  static const std::string result = [] {
    return demangled(typeid(Thunk*)) + parameters<typename Thunk::function_type>::describe_all();
  }();
  return reinterpret_cast<unsigned long>(result.c_str());
}

// The word for what a function returns; "void" for nothing.
template <class T> std::string describe_result() {
  if constexpr (std::is_void_v<T>) return "void";
  else return describe<std::decay_t<T>>();
}
template <class T> unsigned long reflect_result() {
  static const std::string result = describe_result<T>();
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
