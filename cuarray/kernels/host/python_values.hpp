// The values of Python's scalars and arrays, as the parameters of kernels.
#pragma once
#include "python_api.hpp"

namespace ca::python {

// In the order of _fast_calls.CODES. The numbers are types of C++, as parameters and as what a NumPy scalar holds.
enum Code : std::uint32_t { b1, i1, i2, i4, i8, u1, u2, u4, u8, f2, f4, f8, c8, c16, pointer, python_bool, python_int };

constexpr unsigned sizes[] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8, 8, 16};
constexpr std::size_t scalar_offset = sizeof(Object);  // where scalars hold their value; _fast_calls looks first

// Where CuArray, Layout and Remembered keep their attributes, in bytes from the object's beginning.
struct Offsets {
  std::int64_t pointer, layout, memory, base, writeable, dtype, shape, strides, recipes;
};
inline Offsets& offsets() {
  static Offsets value{};
  return value;
}

// The address of an array's first element; false if it is not what it must be.
inline bool address_of(Object* array, std::uint64_t& address) {
  Object* number = slot(array, offsets().pointer);
  if (!number || number->type != &long_type) return false;
  int overflow = 0;
  address = std::uint64_t(long_value(number, &overflow));
  return !overflow;
}

template <class T> T value_of(Object* scalar) {
  T value;
  std::memcpy(&value, reinterpret_cast<char*>(scalar) + scalar_offset, sizeof value);
  return value;
}
template <class T> bool put(char* slot, T value) {
  std::memcpy(slot, &value, sizeof value);
  return true;
}

// An integer that `T` does not hold is left to Python.
template <class T> bool put_integer(char* slot, bool is_unsigned, std::int64_t value) {
  if constexpr (sizeof(T) == 8) {
    constexpr bool wants_unsigned = T(-1) > T(0);
    if (is_unsigned != wants_unsigned && value < 0) return false;
  } else {
    if ((is_unsigned && value < 0) || std::int64_t(T(value)) != value) return false;
  }
  return put(slot, T(value));
}

// A finite number that becomes an infinity is left to Python: NumPy may warn.
template <class T, class Wide> bool put_real(char* slot, double value) {
  const T narrow(value);
  const double difference = double(Wide(narrow)) - value;  // infinite if one is infinite, NaN if both are
  return put(slot, narrow) && (difference - difference == 0 || value - value != 0);
}

inline bool put_complex(std::uint64_t target, char* slot, double real, double imaginary) {
  if (target == b1) return put(slot, real != 0 || imaginary != 0);
  if (target == c16) return put(slot, real) && put(slot + 8, imaginary);
  if (target != c8) return false;
  return put_real<float, float>(slot, real) && put_real<float, float>(slot + 4, imaginary);
}

inline bool put_float(std::uint64_t target, char* slot, double value) {
  switch (target) {
    case b1: return put(slot, value != 0);
    case f2: return put_real<_Float16, float>(slot, value);
    case f4: return put_real<float, float>(slot, value);
    case f8: return put(slot, value);
    case c8:
    case c16: return put_complex(target, slot, value, 0);
  }
  return false;
}

// `value` holds the bits of an unsigned integer if is_unsigned.
inline bool put_any_integer(std::uint64_t target, char* slot, bool is_unsigned, std::int64_t value,
                            bool is_numpy = true) {
  switch (target) {
    case b1: return put(slot, value != 0);
    case i1: return put_integer<std::int8_t>(slot, is_unsigned, value);
    case i2: return put_integer<std::int16_t>(slot, is_unsigned, value);
    case i4: return put_integer<std::int32_t>(slot, is_unsigned, value);
    case i8: return put_integer<std::int64_t>(slot, is_unsigned, value);
    case u1: return put_integer<std::uint8_t>(slot, is_unsigned, value);
    case u2: return put_integer<std::uint16_t>(slot, is_unsigned, value);
    case u4: return put_integer<std::uint32_t>(slot, is_unsigned, value);
    case u8: return put_integer<std::uint64_t>(slot, is_unsigned, value);
  }
  // NumPy rounds its own integers once, and Python's by way of double.
  if (is_numpy && (target == f4 || target == c8))
    return put_float(target, slot, is_unsigned ? float(std::uint64_t(value)) : float(value));
  return put_float(target, slot, is_unsigned ? double(std::uint64_t(value)) : double(value));
}

// The bytes of a scalar, of the type that `source` stands for, as one of `target`; false if only Python can tell.
inline bool pack_scalar(std::uint64_t source, std::uint64_t target, Object* object, char* out) {
  switch (source) {
    case python_bool: return put_any_integer(target, out, false, object == &true_object, false);
    case python_int: {
      int overflow = 0;
      const long long value = long_value(object, &overflow);
      if (!overflow) return put_any_integer(target, out, false, value, false);
      if (overflow < 0 || target != u8) return false;
      const unsigned long long large = unsigned_value(object);
      if (error_occurred()) {
        error_clear();
        return false;
      }
      return put(out, large);
    }
  }
  if (source == target) {
    std::memcpy(out, reinterpret_cast<char*>(object) + scalar_offset, sizes[target]);
    return true;
  }
  switch (source) {
    case b1: return put_any_integer(target, out, false, value_of<std::uint8_t>(object) != 0);
    case i1: return put_any_integer(target, out, false, value_of<std::int8_t>(object));
    case i2: return put_any_integer(target, out, false, value_of<std::int16_t>(object));
    case i4: return put_any_integer(target, out, false, value_of<std::int32_t>(object));
    case i8: return put_any_integer(target, out, false, value_of<std::int64_t>(object));
    case u1: return put_any_integer(target, out, true, value_of<std::uint8_t>(object));
    case u2: return put_any_integer(target, out, true, value_of<std::uint16_t>(object));
    case u4: return put_any_integer(target, out, true, value_of<std::uint32_t>(object));
    case u8: return put_any_integer(target, out, true, std::int64_t(value_of<std::uint64_t>(object)));
    case f2: return put_float(target, out, float(value_of<_Float16>(object)));
    case f4: return put_float(target, out, value_of<float>(object));
    case f8: return put_float(target, out, value_of<double>(object));
    case c8:
    case c16: {
      struct Double { double real, imaginary; };
      struct Single { float real, imaginary; };
      if (source == c16) {
        const auto value = value_of<Double>(object);
        return put_complex(target, out, value.real, value.imaginary);
      }
      const auto value = value_of<Single>(object);
      return put_complex(target, out, value.real, value.imaginary);
    }
  }
  return false;
}

}  // namespace ca::python
