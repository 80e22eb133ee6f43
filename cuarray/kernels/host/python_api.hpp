// What the C++ behind Python's calls (python_launch.hpp, python_calls.hpp) needs of CPython.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>

// The few declarations of CPython's that are needed, under names of our own: Python.h need not be installed, and where
// somebody includes it, these do not clash. The layouts are those of the stable ABI (with the GIL).
namespace ca::python {

struct Type;
struct Object {
  std::intptr_t references;
  Type* type;
};
using Vectorcall = Object* (*)(Object* self, Object* const* args, std::size_t flagged_count, Object* names);
using Visit = int (*)(Object*, void*);
struct Slot {
  int number;
  void* value;
};
struct Spec {
  const char* name;
  int basic_size, item_size;
  unsigned flags;
  Slot* slots;
};
struct Member {
  const char* name;
  int type;
  std::intptr_t offset;
  int flags;
  const char* doc;
};
enum {
  tp_call = 50,
  tp_dealloc = 52,
  tp_descr_get = 54,
  tp_getattro = 58,
  tp_repr = 66,
  tp_traverse = 71,
  tp_members = 72
};
constexpr unsigned disallow_instantiation = 1u << 7, have_vectorcall = 1u << 11, have_gc = 1u << 14,
                   method_descriptor = 1u << 17;  // functions of a class: called with the object before the arguments
constexpr int member_bool = 14, member_u64 = 18, member_ssize = 19, member_read_only = 1;

extern Type long_type asm("PyLong_Type");
extern Type tuple_type asm("PyTuple_Type");
extern Type unicode_type asm("PyUnicode_Type");
extern Type type_type asm("PyType_Type");
extern Object none asm("_Py_NoneStruct");
extern Type slice_type asm("PySlice_Type");
extern Object ellipsis asm("_Py_EllipsisObject");
extern Object true_object asm("_Py_TrueStruct");
Object* type_from_spec(Spec*) asm("PyType_FromSpec");
int is_subtype(Type*, Type*) asm("PyType_IsSubtype");
Object* new_method(Object* function, Object* self) asm("PyMethod_New");
Object* generic_alloc(Type*, std::intptr_t) asm("PyType_GenericAlloc");
void gc_untrack(void*) asm("PyObject_GC_UnTrack");
void gc_delete(void*) asm("PyObject_GC_Del");
void object_free(void*) asm("PyObject_Free");
void clear_weak_references(Object*) asm("PyObject_ClearWeakRefs");
void incref(Object*) asm("Py_IncRef");  // null is allowed
void decref(Object*) asm("Py_DecRef");
Object* repr(Object*) asm("PyObject_Repr");
Object* get_attribute(Object*, Object*) asm("PyObject_GetAttr");
Object* vectorcall_call(Object*, Object*, Object*) asm("PyVectorcall_Call");
Object* vectorcall(Object*, Object* const*, std::size_t, Object*) asm("PyObject_Vectorcall");
Object* vectorcall_method(Object* name, Object* const*, std::size_t, Object*) asm("PyObject_VectorcallMethod");
Object* new_dict() asm("PyDict_New");
Object* dict_get(Object*, Object*) asm("PyDict_GetItemWithError");  // borrowed
int dict_set(Object*, Object*, Object*) asm("PyDict_SetItem");
std::intptr_t dict_size(Object*) asm("PyDict_Size");
void dict_clear(Object*) asm("PyDict_Clear");
std::intptr_t tuple_size(Object*) asm("PyTuple_Size");
Object* tuple_get(Object*, std::intptr_t) asm("PyTuple_GetItem");  // borrowed
long long long_value(Object*, int* overflow) asm("PyLong_AsLongLongAndOverflow");
unsigned long long unsigned_value(Object*) asm("PyLong_AsUnsignedLongLong");
Object* long_from(long long) asm("PyLong_FromLongLong");
Object* long_from_unsigned(unsigned long long) asm("PyLong_FromUnsignedLongLong");
int unpack_slice(Object*, std::intptr_t* start, std::intptr_t* stop, std::intptr_t* step) asm("PySlice_Unpack");
std::intptr_t adjust_slice(std::intptr_t extent, std::intptr_t* start, std::intptr_t* stop,
                           std::intptr_t step) asm("PySlice_AdjustIndices");
Object* error_occurred() asm("PyErr_Occurred");
void error_clear() asm("PyErr_Clear");
int context_get(Object* variable, Object* otherwise, Object** value) asm("PyContextVar_Get");  // a new reference
void* save_thread() asm("PyEval_SaveThread");
void restore_thread(void*) asm("PyEval_RestoreThread");

constexpr std::size_t count_mask = SIZE_MAX >> 1;  // the highest bit of a vectorcall's count is a flag

using LaunchKernel = int(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**,
                         void**);

inline Object*& slot(Object* object, std::int64_t offset) {
  return *reinterpret_cast<Object**>(reinterpret_cast<char*>(object) + offset);
}

// A type whose objects are called by the function that they have at `call_offset`. Null: what it does not have.
inline Object* make_called_type(const char* name, int size, std::intptr_t call_offset, unsigned flags, void* dealloc,
                                void* traverse, void* repr, void* getattribute, void* get = nullptr) {
  Member members[] = {{"__vectorcalloffset__", member_ssize, call_offset, member_read_only, nullptr}, {}};
  Slot slots[8] = {{tp_call, reinterpret_cast<void*>(vectorcall_call)},
                   {tp_dealloc, dealloc},
                   {tp_traverse, traverse},
                   {tp_members, members}};
  Slot* next = slots + 4;  // a slot with number 0 ends the list
  if (repr) *next++ = {tp_repr, repr};
  if (getattribute) *next++ = {tp_getattro, getattribute};
  if (get) *next++ = {tp_descr_get, get};
  Spec spec{name, size, 0, disallow_instantiation | have_vectorcall | have_gc | flags, slots};
  return type_from_spec(&spec);
}

inline int visit_all(Visit visit, void* data, std::initializer_list<Object*> objects) {
  for (Object* object : objects)
    if (object)
      if (int stop = visit(object, data)) return stop;
  return 0;
}

// The end of a dealloc function, after what the object held was dropped.
inline void destroy(Object* object) {
  Object* type = reinterpret_cast<Object*>(object->type);
  gc_delete(object);
  decref(type);
}

}  // namespace ca::python
