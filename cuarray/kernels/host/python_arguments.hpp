// How C++ functions called through cppyy take CuArrays: converters for their pointer parameters, and the buffer protocol.
#pragma once
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "CPyCppyy/API.h"

namespace ca::host {

// The Python side (cuarray/_interop/cppyy_arguments.py), set once by install_arguments.
inline PyTypeObject* array_type = nullptr;
inline PyObject* lend_pointer = nullptr;  // (array, C++ type pointed to, whether it is const) -> address
inline PyObject* lend_buffer = nullptr;   // (array, PyBUF flags) -> an object with the buffer

// A converter for pointers to one type: CuArrays by `lend_pointer`, all else by the converter that was there before.
class PointerConverter : public CPyCppyy::Converter {
 public:
  PointerConverter(std::string pointee, bool is_const, CPyCppyy::Converter* other)
      : pointee_(std::move(pointee)), is_const_(is_const), other_(other) {}
  PointerConverter(const PointerConverter&) = delete;
  PointerConverter& operator=(const PointerConverter&) = delete;
  ~PointerConverter() override {
    if (other_ && other_->HasState()) CPyCppyy::DestroyConverter(other_);
  }

  bool SetArg(PyObject* object, CPyCppyy::Parameter& parameter, CPyCppyy::CallContext* context) override {
    if (Py_TYPE(object) != array_type) return other_->SetArg(object, parameter, context);
    PyObject* address = PyObject_CallFunction(lend_pointer, "Osi", object, pointee_.c_str(), int(is_const_));
    if (!address) return false;
    parameter.fValue.fVoidp = PyLong_AsVoidPtr(address);
    parameter.fTypeCode = 'p';
    Py_DECREF(address);
    return !PyErr_Occurred();
  }
  PyObject* FromMemory(void* address) override { return other_->FromMemory(address); }
  bool ToMemory(PyObject* value, void* address, PyObject* context) override {
    return other_->ToMemory(value, address, context);
  }
  bool HasState() override { return true; }

 private:
  std::string pointee_;
  bool is_const_;
  CPyCppyy::Converter* other_;
};

// What a factory makes. A factory is a plain function, so each entry has one of its own.
struct Registration {
  std::string pointee;
  bool is_const;
  std::string previous;  // the key of the converter for all that is not a CuArray
};
constexpr std::size_t max_registrations = 128;
inline Registration registrations[max_registrations];
inline std::size_t registration_count = 0;

// Not inlined: what is compiled once for each entry must be short, as it is compiled in every process.
[[gnu::noinline]] inline CPyCppyy::Converter* make(std::size_t k, CPyCppyy::cdims_t dimensions) {
  const Registration& entry = registrations[k];
  return new PointerConverter(entry.pointee, entry.is_const, CPyCppyy::CreateConverter(entry.previous, dimensions));
}

template <std::size_t K>
CPyCppyy::Converter* make_converter(CPyCppyy::cdims_t dimensions) {
  return make(K, dimensions);
}

template <std::size_t... K>
CPyCppyy::ConverterFactory_t factory(std::size_t k, std::index_sequence<K...>) {
  static constexpr CPyCppyy::ConverterFactory_t factories[] = {&make_converter<K>...};
  return factories[k];
}

// Have `key`, a parameter's type as cppyy spells it, converted by a PointerConverter. What is not a CuArray goes to the
// converter that `key` has, or else to that of `generic`. False where there are too many.
inline bool register_pointer(const char* pointee, bool is_const, const std::string& key, const char* generic) {
  if (registration_count == max_registrations) return false;
  const std::size_t k = registration_count++;
  registrations[k] = {pointee, is_const, "cuarray " + key};
  if (!CPyCppyy::RegisterConverterAlias(registrations[k].previous, key)) {
    CPyCppyy::RegisterConverterAlias(registrations[k].previous, generic);
  }
  CPyCppyy::UnregisterConverter(key);
  return CPyCppyy::RegisterConverter(key, factory(k, std::make_index_sequence<max_registrations>()));
}

// A span over `size` elements at `address`; std::span and whatever is constructed alike.
template <class Span>
Span make_span(unsigned long address, unsigned long size) {
  return Span(reinterpret_cast<typename Span::element_type*>(address), size);
}

// A ca::view or ca::span of its words.
template <class View> View from_words(unsigned long words) {
  View view;
  std::memcpy(&view, reinterpret_cast<const void*>(words), sizeof view);
  return view;
}

// bf_getbuffer of CuArray. On failure the view must be empty: cppyy looks at it without asking for the result.
inline int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  std::memset(view, 0, sizeof *view);
  // So numba asks what an argument of a compiled function is; it has another way, which does not wait for the device.
  if ((flags | PyBUF_WRITABLE) == PyBUF_RECORDS) {
    PyErr_SetNone(PyExc_BufferError);
    return -1;
  }
  PyObject* lent = PyObject_CallFunction(lend_buffer, "Oi", self, flags);
  if (!lent) return -1;
  const int result = PyObject_GetBuffer(lent, view, flags);
  Py_DECREF(lent);
  if (result) std::memset(view, 0, sizeof *view);
  return result;
}

inline void install_arguments(PyObject* type, PyObject* pointer, PyObject* buffer) {
  Py_INCREF(type), Py_INCREF(pointer), Py_INCREF(buffer);
  array_type = reinterpret_cast<PyTypeObject*>(type);
  lend_pointer = pointer;
  lend_buffer = buffer;
  array_type->tp_as_buffer->bf_getbuffer = get_buffer;
  PyType_Modified(array_type);
}

}  // namespace ca::host
