// Arrays as parameters of kernels that know their extents: an array given for one of these is passed whole.
//
//   ca::span<T>      pointer and size: one dimension, elements one after another
//   ca::view<T, N>   pointer, extents and strides: N dimensions, any strides (in bytes, as NumPy's, so that a field of
//                    an array of structs is a view, too)
//
// T is const where the kernel only reads; a view or span of T converts to one of const T. With CA_DEBUG_BOUNDS defined
// when this file is first read, every index is checked, and ca::bounds_error called for one that is outside.
#pragma once
#include "portable.cuh"

#if defined(CA_DEBUG_BOUNDS) && !CA_ON_DEVICE
#include <cstdio>
#include <cstdlib>
#endif

namespace ca {

#if defined(CA_DEBUG_BOUNDS)
#if CA_ON_DEVICE
__device__ inline void bounds_error(int axis, i64 index, i64 extent) {
  printf("index %ld is out of bounds for axis %d with extent %ld: block (%u, %u, %u), thread (%u, %u, %u)\n", index, axis,
         extent, blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
  __trap();
}
#else
inline void bounds_error(int axis, i64 index, i64 extent) noexcept {
  std::fprintf(stderr, "index %ld is out of bounds for axis %d with extent %ld\n", index, axis, extent);
  std::abort();
}
#endif
#endif

namespace detail {

__device__ inline void check_bounds([[maybe_unused]] int axis, [[maybe_unused]] i64 index, [[maybe_unused]] i64 extent) {
#if defined(CA_DEBUG_BOUNDS)
  if (index < 0 || index >= extent) bounds_error(axis, index, extent);
#endif
}

// const U for T = const U, and nothing for any other T: what a conversion that only adds const takes.
template <class T, class U> struct adds_const {};
template <class U> struct adds_const<const U, U> { using type = void; };

template <class T> struct bytes_of { using type = char; };
template <class T> struct bytes_of<const T> { using type = const char; };

}  // namespace detail

template <class T> struct span {
  using value_type = T;

  T* pointer;
  i64 count;

  span() = default;
  __device__ constexpr span(T* pointer, i64 count) : pointer(pointer), count(count) {}
  template <class U, class = typename detail::adds_const<T, U>::type>
  __device__ constexpr span(const span<U>& other) : pointer(other.pointer), count(other.count) {}

  __device__ T& operator[](i64 i) const {
    detail::check_bounds(0, i, count);
    return pointer[i];
  }
  __device__ T& operator()(i64 i) const { return (*this)[i]; }
  __device__ constexpr T* data() const { return pointer; }
  __device__ constexpr i64 size() const { return count; }
  __device__ constexpr bool empty() const { return count == 0; }
  __device__ constexpr T* begin() const { return pointer; }
  __device__ constexpr T* end() const { return pointer + count; }
};

template <class T, int N> struct view {
  static_assert(N >= 1, "a view has at least one dimension; an array without dimensions is passed as a pointer");
  using value_type = T;

  T* pointer;
  i64 extents[N];
  i64 strides[N];  // in bytes

  view() = default;
  template <class U, class = typename detail::adds_const<T, U>::type>
  __device__ constexpr view(const view<U, N>& other) : pointer(other.pointer), extents(), strides() {
    for (int axis = 0; axis < N; ++axis) {
      extents[axis] = other.extents[axis];
      strides[axis] = other.strides[axis];
    }
  }

  template <class... Index> __device__ T& operator()(Index... index) const {
    static_assert(sizeof...(Index) == N, "a view takes one index for each of its dimensions");
    const i64 at[N] = {i64(index)...};
    i64 offset = 0;
#pragma unroll
    for (int axis = 0; axis < N; ++axis) {
      detail::check_bounds(axis, at[axis], extents[axis]);
      offset += at[axis] * strides[axis];
    }
    return *element(offset);
  }
  // The element, or with more dimensions than one the subview.
  __device__ decltype(auto) operator[](i64 i) const {
    if constexpr (N == 1) return (*this)(i);
    else return subview(i);
  }
  // What is at i along the first axis: a view of the other axes.
  __device__ view<T, N - 1> subview(i64 i) const {
    detail::check_bounds(0, i, extents[0]);
    view<T, N - 1> result;
    result.pointer = element(i * strides[0]);
    for (int axis = 1; axis < N; ++axis) {
      result.extents[axis - 1] = extents[axis];
      result.strides[axis - 1] = strides[axis];
    }
    return result;
  }

  __device__ constexpr T* data() const { return pointer; }
  __device__ constexpr i64 extent(int axis) const { return extents[axis]; }
  __device__ constexpr i64 stride(int axis) const { return strides[axis]; }
  __device__ constexpr i64 size() const {
    i64 result = 1;
    for (int axis = 0; axis < N; ++axis) result *= extents[axis];
    return result;
  }
  static __device__ constexpr int ndim() { return N; }

 private:
  __device__ T* element(i64 offset) const {
    return reinterpret_cast<T*>(reinterpret_cast<typename detail::bytes_of<T>::type*>(pointer) + offset);
  }
};

}  // namespace ca
