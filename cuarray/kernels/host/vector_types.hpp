// CUDA's vector types and dim3, at global scope as CUDA has them. The guards are those of CUDA's own headers, so that
// whichever is read first is the one that counts.
#pragma once

#ifndef __VECTOR_TYPES_H__
#define __VECTOR_TYPES_H__
#define CA_VECTORS(type, name, align2, align4)            \
  struct name##1 { type x; };                             \
  struct alignas(align2) name##2 { type x, y; };          \
  struct name##3 { type x, y, z; };                       \
  struct alignas(align4) name##4 { type x, y, z, w; };
CA_VECTORS(signed char, char, 2, 4)
CA_VECTORS(unsigned char, uchar, 2, 4)
CA_VECTORS(short, short, 4, 8)
CA_VECTORS(unsigned short, ushort, 4, 8)
CA_VECTORS(int, int, 8, 16)
CA_VECTORS(unsigned int, uint, 8, 16)
CA_VECTORS(long, long, 16, 16)
CA_VECTORS(unsigned long, ulong, 16, 16)
CA_VECTORS(long long, longlong, 16, 16)
CA_VECTORS(unsigned long long, ulonglong, 16, 16)
CA_VECTORS(float, float, 8, 16)
CA_VECTORS(double, double, 16, 16)
#undef CA_VECTORS

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
  constexpr operator uint3() const { return {x, y, z}; }
};
#endif

#ifndef __VECTOR_FUNCTIONS_H__
#define __VECTOR_FUNCTIONS_H__
#define CA_MAKERS(type, name)                                                                     \
  constexpr name##1 make_##name##1(type x) { return {x}; }                                        \
  constexpr name##2 make_##name##2(type x, type y) { return {x, y}; }                             \
  constexpr name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }                  \
  constexpr name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
CA_MAKERS(signed char, char)
CA_MAKERS(unsigned char, uchar)
CA_MAKERS(short, short)
CA_MAKERS(unsigned short, ushort)
CA_MAKERS(int, int)
CA_MAKERS(unsigned int, uint)
CA_MAKERS(long, long)
CA_MAKERS(unsigned long, ulong)
CA_MAKERS(long long, longlong)
CA_MAKERS(unsigned long long, ulonglong)
CA_MAKERS(float, float)
CA_MAKERS(double, double)
#undef CA_MAKERS
#endif
