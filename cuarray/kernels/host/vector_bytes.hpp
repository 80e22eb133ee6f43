// How wide the CPU's vector registers are, and numbers that fill one.
#pragma once

namespace ca {

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define CA_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define CA_VECTOR_BYTES 32
#else
#define CA_VECTOR_BYTES 16
#endif
inline constexpr int vector_bytes = CA_VECTOR_BYTES;

template <class T> inline constexpr int lanes_of = vector_bytes / sizeof(T);
template <class T> struct vector_of {
  typedef T type __attribute__((ext_vector_type(lanes_of<T>)));
  typedef bool Truth __attribute__((ext_vector_type(lanes_of<T>)));
};
template <class T> using Lanes = typename vector_of<T>::type;
template <class T> using Truth = typename vector_of<T>::Truth;  // a bit a lane

}  // namespace ca
