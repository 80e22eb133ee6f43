// The library's own functions called from Python: a call that was made before costs no interpreted code. Part of
// the native library; _fast_calls.py is its only user.
//
//   Memory    a block of the pool, as _runtime.memory.Memory.
//   Recipes   of one function (a Remembered of Python's): for arguments of certain kinds, what to allocate, and what to
//             launch on which words. Python adds them; it knows the rules, here they are followed.
//   Call      the method Remembered.__call__, and Operator, a method of CuArray such as __add__: they follow the recipe
//             for their arguments, or leave the call to Python where there is none or anything is unusual.
//   Subscript CuArray.__getitem__ and __setitem__ with a key of integers and slices, by the layouts of views that
//             Python found.
//
// Nothing here raises an exception of its own.
#pragma once
#include <cstdlib>

#include "../memory_pool.hpp"
#include "../transfers.hpp"
#include "python_values.hpp"

namespace ca::python {

// ---- memory -----------------------------------------------------------------------------------------------------
struct Memory {
  Object head;
  Object* weak_references;
  std::uint64_t pointer, nbytes;
  unsigned long pool;
  bool host_accessible;
};

struct Calling {
  Type* array = nullptr;      // CuArray
  Type* remembered = nullptr; // Remembered
  Type* memory = nullptr;
  Type *recipes = nullptr, *call = nullptr, *operation = nullptr, *subscript = nullptr;
  Object* slow_name = nullptr;  // of Remembered's method in Python
  Object* views = nullptr;      // Recipes of the layouts that arrays' views have
  unsigned long pool = 0;
  bool closed = false;  // the interpreter takes modules apart: blocks go with the process
};
inline Calling& calling() {
  static Calling value;
  return value;
}

inline void dealloc_memory(Object* object) {
  Memory* self = reinterpret_cast<Memory*>(object);
  if (self->weak_references) clear_weak_references(object);
  if (!calling().closed) pool_free(self->pool, self->pointer, self->nbytes);
  Object* type = reinterpret_cast<Object*>(object->type);
  object_free(object);
  decref(type);
}

inline Object* make_memory_type() {
  Member members[] = {{"__weaklistoffset__", member_ssize, offsetof(Memory, weak_references), member_read_only, nullptr},
                      {"pointer", member_u64, offsetof(Memory, pointer), member_read_only, nullptr},
                      {"nbytes", member_u64, offsetof(Memory, nbytes), member_read_only, nullptr},
                      {"host_accessible", member_bool, offsetof(Memory, host_accessible), member_read_only, nullptr},
                      {}};
  Slot slots[] = {{tp_dealloc, reinterpret_cast<void*>(dealloc_memory)}, {tp_members, members}, {}};
  Spec spec{"cuarray._runtime.memory.Memory", sizeof(Memory), 0, disallow_instantiation, slots};
  return type_from_spec(&spec);
}

// A CuArray over `held`, whose reference it takes over, as that of the base.
inline Object* array_over(Object* held, std::uint64_t pointer, Object* layout, Object* base, Object* writeable) {
  Object* number = long_from_unsigned(pointer);
  Object* array = number ? generic_alloc(calling().array, 0) : nullptr;
  if (!array) return decref(held), decref(base), decref(number), nullptr;
  slot(array, offsets().pointer) = number;
  slot(array, offsets().memory) = held;
  slot(array, offsets().base) = base;
  incref(slot(array, offsets().layout) = layout);
  incref(slot(array, offsets().writeable) = writeable);
  return array;
}

// A new CuArray of this layout; null without memory, and then perhaps with an exception.
inline Object* new_array(Object* layout, std::uint64_t bytes) {
  Calling& own = calling();
  const std::uint64_t pointer = pool_allocate(own.pool, bytes);
  if (!pointer) return nullptr;
  Object* held = generic_alloc(own.memory, 0);
  if (!held) return pool_free(own.pool, pointer, bytes), nullptr;
  Memory* memory = reinterpret_cast<Memory*>(held);
  memory->pointer = pointer;
  memory->nbytes = bytes;
  memory->pool = own.pool;
  memory->host_accessible = true;
  incref(&none);
  return array_over(held, pointer, layout, &none, &true_object);
}

// A view of `array`; null, without an exception, if that cannot be.
inline Object* view_of(Object* array, std::int64_t offset, Object* layout) {
  std::uint64_t pointer = 0;
  if (!address_of(array, pointer)) return nullptr;
  Object *memory = slot(array, offsets().memory), *base = slot(array, offsets().base);
  Object* const owner = base == &none ? array : base;
  incref(memory);
  incref(owner);
  Object* view = array_over(memory, pointer + offset, layout, owner, slot(array, offsets().writeable));
  if (!view) error_clear();
  return view;
}

// ---- recipes ----------------------------------------------------------------------------------------------------
constexpr std::size_t most_parts = 72, most_recipes = 4096, most_steps = 64, most_words = 512;

// Where a word of a launch's head comes from.
enum What : std::uint16_t { constant, output, scratch, address, low, high };
struct Word {
  std::uint64_t constant;  // the value, or what is added to an output's address
  std::uint16_t what, argument, source, target;
};
// One launch, and how many words its head has. The record is as _runtime/glue.py describes it.
struct Step {
  const std::int64_t* record;
  std::uint64_t words;
};
// Of an argument that is an array, where its bytes lie relative to its first element.
struct Span {
  std::uint64_t argument;
  std::int64_t low, high;
};

struct Recipe {
  Object* keep;            // a tuple of what the key and all addresses rely on
  std::uint64_t users;     // launches without the GIL, and 1 while it is found
  std::uint64_t parts;     // of the key
  std::int64_t out;        // the argument that is written; -1: a new array, or
  std::int64_t viewed;     // the argument that the result is a view of, beginning `bytes` bytes after it; -1: none
  Object* layout;          // of a new array or view
  std::uint64_t bytes, scratch_bytes;
  std::uint64_t spans, steps, words;
  std::uint64_t misaligned;  // bits that no address may have: those below the alignment that the launches rely on
  std::uint64_t apart;       // whether what is written must not be an input, either
  // then the key, the spans, if something else than a new array is written, the steps, and the words of all their heads

  std::uint64_t* key() { return reinterpret_cast<std::uint64_t*>(this + 1); }
  Span* span() { return reinterpret_cast<Span*>(key() + parts); }
  Step* step() { return reinterpret_cast<Step*>(span() + spans); }
  Word* word() { return reinterpret_cast<Word*>(step() + steps); }
};
constexpr std::size_t given_words = 11;  // of a recipe as Python writes it: parts ... words, misaligned, apart

inline void leave(Recipe* recipe) {
  if (--recipe->users) return;
  decref(recipe->keep);
  std::free(recipe);
}

struct Recipes {
  Object head;
  std::uint64_t scalars;  // bit k: argument k may be a scalar, which counts by its type
  Object* variable;       // a context variable of Python's, whose value counts, too; or null
  std::size_t count, capacity;
  Recipe** table;  // open addressing; capacity is a power of 2, at most half is used
};

inline std::size_t hash_of(const std::uint64_t* key, std::size_t parts) {
  std::uint64_t hash = parts;
  for (std::size_t k = 0; k < parts; ++k) hash = (hash ^ (key[k] >> 4) ^ (key[k] << 60)) * 0x9e3779b97f4a7c15ul;
  return hash ^ (hash >> 32);
}

inline Recipe** place_of(Recipe** table, std::size_t capacity, const std::uint64_t* key, std::size_t parts) {
  for (std::size_t at = hash_of(key, parts);; ++at) {
    Recipe*& found = table[at & (capacity - 1)];
    if (!found || (found->parts == parts && std::memcmp(found->key(), key, parts * sizeof *key) == 0)) return &found;
  }
}

inline void forget_all(Recipes& recipes) {
  for (std::size_t k = 0; k < recipes.capacity; ++k) {
    Recipe* recipe = recipes.table[k];
    recipes.table[k] = nullptr;
    if (recipe) leave(recipe);
  }
  recipes.count = 0;
}

// An int that fits, told from pointers by its lowest bits.
inline bool part_of_int(Object* number, int bits, std::int64_t& value) {
  if (number->type != &long_type) return false;
  int overflow = 0;
  value = long_value(number, &overflow);
  return !overflow && value >= -(std::int64_t(1) << (bits - 1)) && value < std::int64_t(1) << (bits - 1);
}

// What an argument is, as far as the choice of a recipe goes: an array's layout, a scalar's type, the values of an int
// or of a few small ones in a tuple, or the very object. The lowest bits, which pointers have not, say which.
inline std::uint64_t part_of(Object* argument, bool may_be_scalar) {
  if (argument->type == calling().array) return reinterpret_cast<std::uint64_t>(slot(argument, offsets().layout)) | 3;
  if (may_be_scalar) return reinterpret_cast<std::uint64_t>(argument->type) | 1;
  std::int64_t value = 0;
  if (part_of_int(argument, 61, value)) return std::uint64_t(value) << 3 | 2;
  if (argument->type == &tuple_type) {
    const std::intptr_t size = tuple_size(argument);
    const int bits = size <= 2 ? 29 : 14;
    std::uint64_t values = 0;
    bool fits = size <= 4;
    for (std::intptr_t k = 0; fits && k < size; ++k) {
      fits = part_of_int(tuple_get(argument, k), bits, value);
      values = values << bits | (std::uint64_t(value) & ((std::uint64_t(1) << bits) - 1));
    }
    if (fits && size <= 2) return values << 6 | std::uint64_t(size) << 3 | 4;
    if (fits) return values << 4 | std::uint64_t(size - 3) << 3 | 6;
  }
  return reinterpret_cast<std::uint64_t>(argument);
}

inline Recipe* find_recipe(Recipes& recipes, Object* const* args, std::size_t positional, Object* names) {
  const std::size_t named = names ? std::size_t(tuple_size(names)) : 0, given = positional + named;
  if (!recipes.count || given + named >= most_parts) return nullptr;
  std::uint64_t key[most_parts];
  for (std::size_t k = 0; k < given; ++k)
    key[k] = part_of(args[k], k < positional && k < 64 && (recipes.scalars >> k & 1));
  for (std::size_t k = 0; k < named; ++k) key[given + k] = reinterpret_cast<std::uint64_t>(tuple_get(names, k));
  if (!recipes.variable) return *place_of(recipes.table, recipes.capacity, key, given + named);
  Object* value = nullptr;
  if (context_get(recipes.variable, nullptr, &value) < 0) return error_clear(), nullptr;
  key[given + named] = reinterpret_cast<std::uint64_t>(value);
  decref(value);  // recipes hold the values that they are for
  return *place_of(recipes.table, recipes.capacity, key, given + named + 1);
}

// Whether the output may be written while the inputs are read: it shares no element with any of them, or (unless they
// must be apart) is it.
inline bool may_write(Recipe& recipe, Object* const* args) {
  Object* out = args[recipe.out];
  std::uint64_t own = 0, other = 0;
  if (slot(out, offsets().writeable) != &true_object || !address_of(out, own)) return false;
  std::int64_t low = 0, high = 0;
  for (std::size_t k = 0; k < recipe.spans; ++k)
    if (recipe.span()[k].argument == std::uint64_t(recipe.out)) low = recipe.span()[k].low, high = recipe.span()[k].high;
  for (std::size_t k = 0; k < recipe.spans; ++k) {
    const Span& span = recipe.span()[k];
    Object* array = args[span.argument];
    if (array == out && (!recipe.apart || span.argument == std::uint64_t(recipe.out))) continue;
    if (!address_of(array, other)) return false;
    const bool same = !recipe.apart && own == other && slot(array, offsets().layout) == slot(out, offsets().layout);
    if (!same && own + low < other + span.high && other + span.low < own + high) return false;
  }
  return true;
}

inline int launch(const Step& step, const std::uint64_t* head, void* stream) {
  const std::int64_t* record = step.record;
  alignas(16) std::uint64_t parameter[most_words + most_words];
  take_back(head, step.words, stream);
  std::memcpy(parameter, head, step.words * sizeof *head);
  std::memcpy(parameter + step.words, record + 10, std::size_t(record[9]) * sizeof *record);
  void* params[] = {parameter};
  return reinterpret_cast<LaunchKernel*>(record[0])(
      reinterpret_cast<void*>(record[1]), unsigned(record[2]), unsigned(record[3]), unsigned(record[4]),
      unsigned(record[5]), unsigned(record[6]), unsigned(record[7]), unsigned(record[8]), stream, params, nullptr);
}

// What the recipe makes of these arguments; null, without an exception, if only Python can tell.
inline Object* follow(Recipe* recipe, Object* const* args) {
  if (recipe->viewed >= 0) return view_of(args[recipe->viewed], std::int64_t(recipe->bytes), recipe->layout);
  if (recipe->out >= 0 && !may_write(*recipe, args)) return nullptr;
  std::uint64_t heads[most_words], second[most_parts];
  const Step* const step = recipe->step();
  const Word* const words = recipe->word();
  for (std::size_t k = 0; k < recipe->words; ++k) {
    const Word& word = words[k];
    std::uint64_t& value = heads[k] = word.constant;
    if (word.what == address) {
      if (!address_of(args[word.argument], value) || value & recipe->misaligned) return nullptr;
    } else if (word.what == low) {
      std::uint64_t both[2] = {0, 0};
      if (!pack_scalar(word.source, word.target, args[word.argument], reinterpret_cast<char*>(both))) return nullptr;
      value = both[0];
      second[word.argument] = both[1];
    } else if (word.what == high) {
      value = second[word.argument];  // its low word came before
    }
  }
  Object* result = recipe->out < 0 ? new_array(recipe->layout, recipe->bytes) : args[recipe->out];
  if (!result) return error_clear(), nullptr;
  if (recipe->out >= 0) incref(result);
  std::uint64_t out = 0, aside = 0;
  address_of(result, out);
  if (out & recipe->misaligned) return decref(result), nullptr;
  if (recipe->scratch_bytes && !(aside = pool_allocate_scratch(calling().pool, recipe->scratch_bytes)))
    return decref(result), nullptr;
  for (std::size_t k = 0; k < recipe->words; ++k) {
    if (words[k].what == output) heads[k] += out;
    if (words[k].what == scratch) heads[k] = aside;
  }
  ++recipe->users;
  void* stream = get_current_stream();
  void* thread = save_thread();
  int failed = 0;
  const std::uint64_t* head = heads;
  for (std::size_t s = 0; s < recipe->steps && !failed; head += step[s++].words) failed = launch(step[s], head, stream);
  restore_thread(thread);
  leave(recipe);
  if (aside) pool_free_scratch(calling().pool, aside, recipe->scratch_bytes);
  if (!failed) return result;
  decref(result);
  return nullptr;  // Python launches again, and says what is wrong
}

// ---- what is called ---------------------------------------------------------------------------------------------
struct Call {
  Object head;
  Vectorcall call;
};

inline Recipes* recipes_of(Object* remembered) {
  Object* found = slot(remembered, offsets().recipes);
  return found && found->type == calling().recipes ? reinterpret_cast<Recipes*>(found) : nullptr;
}

// Remembered.__call__: the function comes before the arguments.
inline Object* call_remembered(Object*, Object* const* args, std::size_t flagged_count, Object* names) {
  const std::size_t count = flagged_count & count_mask;
  if (count && is_subtype(args[0]->type, calling().remembered)) {
    if (Recipes* recipes = recipes_of(args[0]))
      if (Recipe* recipe = find_recipe(*recipes, args + 1, count - 1, names))
        if (Object* result = follow(recipe, args + 1)) return result;
  }
  return vectorcall_method(calling().slow_name, args, count, names);
}

enum Form : std::uint64_t { unary, forward, reflected, in_place };

// A method of CuArray: `function`, a Remembered, of the object and the other operand.
struct Operator {
  Object head;
  Vectorcall call;
  Object *function, *slow;  // slow: the method in Python
  Object* names;            // ("out",)
  std::uint64_t form;
};

inline Object* call_operator(Object* object, Object* const* args, std::size_t flagged_count, Object* names) {
  Operator* self = reinterpret_cast<Operator*>(object);
  const std::size_t count = flagged_count & count_mask;
  Recipes* recipes = recipes_of(self->function);
  if (recipes && !names && count == (self->form == unary ? 1u : 2u)) {
    Object* const own = args[0];
    Object* const other = args[count - 1];
    Object* const ordered[] = {self->form == reflected ? other : own, self->form == reflected ? own : other, own};
    const bool writes = self->form == in_place;
    if (Recipe* recipe = find_recipe(*recipes, ordered, count, writes ? self->names : nullptr))
      if (Object* result = follow(recipe, ordered)) return result;
  }
  return vectorcall(self->slow, args, flagged_count, names);
}

// ---- subscripts -------------------------------------------------------------------------------------------------
// What a view of `array` depends on: where it begins, and the parts of the key that its layout is found by. False for
// keys of other things than integers, slices, None and Ellipsis, and where Python has something to say.
inline bool parse_subscript(Object* array, Object* subscript, std::uint64_t* parts, std::size_t& count,
                            std::int64_t& offset) {
  Object* layout = slot(array, offsets().layout);
  Object *shape = slot(layout, offsets().shape), *strides = slot(layout, offsets().strides);
  const bool is_tuple = subscript->type == &tuple_type;
  const std::intptr_t items = is_tuple ? tuple_size(subscript) : 1, ndim = tuple_size(shape);
  if (items > std::intptr_t((most_parts - 1) / 3)) return false;
  std::intptr_t axes = 0, ellipses = 0;
  for (std::intptr_t k = 0; k < items; ++k) {
    Object* item = is_tuple ? tuple_get(subscript, k) : subscript;
    if (item->type == &long_type || item->type == &slice_type) ++axes;
    else if (item == &ellipsis) ++ellipses;
    else if (item != &none) return false;
  }
  if (axes > ndim || ellipses > 1) return false;
  parts[0] = reinterpret_cast<std::uint64_t>(layout);
  count = 1;
  offset = 0;
  int overflow = 0;
  for (std::intptr_t k = 0, axis = 0; k < items; ++k) {
    Object* item = is_tuple ? tuple_get(subscript, k) : subscript;
    if (item == &ellipsis) axis += ndim - axes;
    if (item == &ellipsis || item == &none) {
      parts[count++] = reinterpret_cast<std::uint64_t>(item);
      continue;
    }
    const std::int64_t extent = long_value(tuple_get(shape, axis), &overflow);
    const std::int64_t stride = long_value(tuple_get(strides, axis++), &overflow);
    if (item->type == &long_type) {
      std::int64_t at = long_value(item, &overflow);
      if (at < 0) at += extent;
      if (overflow || at < 0 || at >= extent) return false;
      offset += at * stride;
      parts[count++] = 1;
    } else {
      std::intptr_t start, stop, step;
      if (unpack_slice(item, &start, &stop, &step) != 0) return error_clear(), false;
      const std::intptr_t length = adjust_slice(extent, &start, &stop, step);
      if (length <= 0) return false;
      offset += start * stride;
      parts[count++] = 3;
      parts[count++] = std::uint64_t(length);
      parts[count++] = std::uint64_t(step);
    }
  }
  return true;
}

// The view, where one like it was made before.
inline Object* find_view(Object* array, Object* subscript) {
  std::uint64_t parts[most_parts];
  std::size_t count;
  std::int64_t offset;
  Recipes& views = *reinterpret_cast<Recipes*>(calling().views);
  if (!views.count || !parse_subscript(array, subscript, parts, count, offset)) return nullptr;
  const Recipe* found = *place_of(views.table, views.capacity, parts, count);
  return found ? view_of(array, offset, found->layout) : nullptr;
}

// CuArray.__getitem__; or __setitem__, if it has what assigns to a view: a Remembered of (view, value).
struct Subscript {
  Object head;
  Vectorcall call;
  Object *slow, *assign;
};

inline Object* call_subscript(Object* object, Object* const* args, std::size_t flagged_count, Object* names) {
  Subscript* self = reinterpret_cast<Subscript*>(object);
  const std::size_t count = flagged_count & count_mask;
  if (!names && count == (self->assign == &none ? 2u : 3u) && args[0]->type == calling().array) {
    Recipes* assignments = self->assign == &none ? nullptr : recipes_of(self->assign);
    if (self->assign == &none || assignments) {
      Object* view = find_view(args[0], args[1]);
      if (view && self->assign == &none) return view;
      if (view) {
        Object* const both[] = {view, args[2]};
        Recipe* recipe = find_recipe(*assignments, both, 2, nullptr);
        Object* done = recipe ? follow(recipe, both) : nullptr;
        decref(view);
        if (done) {
          decref(done);
          incref(&none);
          return &none;
        }
      }
    }
  }
  return vectorcall(self->slow, args, flagged_count, names);
}

// ---- the types --------------------------------------------------------------------------------------------------
inline Object* bind(Object* function, Object* self, Object*) {
  if (self && self != &none) return new_method(function, self);
  incref(function);
  return function;
}
inline void dealloc_recipes(Object* object) {
  gc_untrack(object);
  Recipes* self = reinterpret_cast<Recipes*>(object);
  forget_all(*self);
  std::free(self->table);
  decref(self->variable);
  destroy(object);
}
inline int traverse_recipes(Object* object, Visit visit, void* data) {
  Recipes* self = reinterpret_cast<Recipes*>(object);
  for (std::size_t k = 0; k < self->capacity; ++k)
    if (self->table[k])
      if (int stop = visit(self->table[k]->keep, data)) return stop;
  return visit_all(visit, data, {reinterpret_cast<Object*>(object->type), self->variable});
}
inline void dealloc_call(Object* object) {
  gc_untrack(object);
  destroy(object);
}
inline int traverse_call(Object* object, Visit visit, void* data) {
  return visit_all(visit, data, {reinterpret_cast<Object*>(object->type)});
}
inline void dealloc_operator(Object* object) {
  gc_untrack(object);
  Operator* self = reinterpret_cast<Operator*>(object);
  for (Object* held : {self->function, self->slow, self->names}) decref(held);
  destroy(object);
}
inline int traverse_operator(Object* object, Visit visit, void* data) {
  Operator* self = reinterpret_cast<Operator*>(object);
  return visit_all(visit, data, {reinterpret_cast<Object*>(object->type), self->function, self->slow, self->names});
}
inline void dealloc_subscript(Object* object) {
  gc_untrack(object);
  Subscript* self = reinterpret_cast<Subscript*>(object);
  for (Object* held : {self->slow, self->assign}) decref(held);
  destroy(object);
}
inline int traverse_subscript(Object* object, Visit visit, void* data) {
  Subscript* self = reinterpret_cast<Subscript*>(object);
  return visit_all(visit, data, {reinterpret_cast<Object*>(object->type), self->slow, self->assign});
}
inline Object* subscript_attribute(Object* object, Object* name) {
  return get_attribute(reinterpret_cast<Subscript*>(object)->slow, name);
}
inline Object* repr_subscript(Object* object) { return repr(reinterpret_cast<Subscript*>(object)->slow); }
// To look at, it is Python's method.
inline Object* operator_attribute(Object* object, Object* name) {
  return get_attribute(reinterpret_cast<Operator*>(object)->slow, name);
}
inline Object* repr_operator(Object* object) { return repr(reinterpret_cast<Operator*>(object)->slow); }

inline Object* make_recipes_type() {
  Slot slots[] = {{tp_dealloc, reinterpret_cast<void*>(dealloc_recipes)},
                  {tp_traverse, reinterpret_cast<void*>(traverse_recipes)},
                  {}};
  Spec spec{"cuarray._fast_calls.Recipes", sizeof(Recipes), 0, disallow_instantiation | have_gc, slots};
  return type_from_spec(&spec);
}

// ---- for _fast_calls.py, by ctypes and with the GIL held ---------------------------------------------------------
// variable: a ContextVar with a default, or None.
inline Object* new_recipes(std::uint64_t scalars, Object* variable) noexcept {
  constexpr std::size_t capacity = 16;
  Recipe** table = static_cast<Recipe**>(std::calloc(capacity, sizeof(Recipe*)));
  Object* object = table ? generic_alloc(calling().recipes, 0) : nullptr;
  if (!object) return std::free(table), nullptr;
  Recipes* self = reinterpret_cast<Recipes*>(object);
  self->scalars = scalars;
  if (variable != &none) incref(self->variable = variable);
  self->capacity = capacity;
  self->table = table;
  return object;
}

// False, with a Python exception, if the types cannot be made. What is passed is kept for ever.
inline bool start_calls(Object* array, Object* remembered, Object* slow_name, unsigned long pool) noexcept {
  Calling& own = calling();
  own.array = reinterpret_cast<Type*>(array);
  own.remembered = reinterpret_cast<Type*>(remembered);
  incref(own.slow_name = slow_name);
  own.pool = pool;
  auto made = [](Type*& type, Object* object) { return (type = reinterpret_cast<Type*>(object)) != nullptr; };
  auto method = [](const char* name, int size, std::intptr_t call, auto* dealloc, auto* traverse, auto repr,
                   auto attribute) {
    return make_called_type(name, size, call, method_descriptor, reinterpret_cast<void*>(dealloc),
                            reinterpret_cast<void*>(traverse), reinterpret_cast<void*>(repr),
                            reinterpret_cast<void*>(attribute), reinterpret_cast<void*>(bind));
  };
  void* const nothing = nullptr;
  return made(own.memory, make_memory_type()) && made(own.recipes, make_recipes_type()) &&
         made(own.call, method("cuarray._fast_calls.Call", sizeof(Call), offsetof(Call, call), dealloc_call,
                               traverse_call, nothing, nothing)) &&
         made(own.operation, method("cuarray._fast_calls.Operator", sizeof(Operator), offsetof(Operator, call),
                                    dealloc_operator, traverse_operator, repr_operator, operator_attribute)) &&
         made(own.subscript, method("cuarray._fast_calls.Subscript", sizeof(Subscript), offsetof(Subscript, call),
                                    dealloc_subscript, traverse_subscript, repr_subscript, subscript_attribute)) &&
         (own.views = new_recipes(0, &none)) != nullptr;
}

inline Object* new_call() noexcept {
  Object* object = generic_alloc(calling().call, 0);
  if (object) reinterpret_cast<Call*>(object)->call = call_remembered;
  return object;
}

inline Object* new_operator(Object* function, Object* slow, Object* names, std::uint64_t form) noexcept {
  Object* object = generic_alloc(calling().operation, 0);
  if (!object) return nullptr;
  Operator* self = reinterpret_cast<Operator*>(object);
  self->call = call_operator;
  incref(self->function = function);
  incref(self->slow = slow);
  incref(self->names = names);
  self->form = form;
  return object;
}

inline Object* new_subscript(Object* slow, Object* assign) noexcept {
  Object* object = generic_alloc(calling().subscript, 0);
  if (!object) return nullptr;
  Subscript* self = reinterpret_cast<Subscript*>(object);
  self->call = call_subscript;
  incref(self->slow = slow);
  incref(self->assign = assign);
  return object;
}

// `words`: parts, out, viewed, layout, bytes, scratch_bytes, spans, steps, words, misaligned, apart, then the key, the
// spans, the steps and the words of their heads. False if it is too large, or there is no memory: then it was only going
// to be faster.
inline bool add_recipe(Object* object, Object* keep, const std::uint64_t* words) noexcept {
  Recipes& self = *reinterpret_cast<Recipes*>(object);
  const std::size_t parts = words[0], spans = words[6], steps = words[7], heads = words[8];
  if (parts > most_parts || steps > most_steps || heads > most_words) return false;
  const std::size_t rest = parts * sizeof *words + spans * sizeof(Span) + steps * sizeof(Step) + heads * sizeof(Word);
  Recipe* recipe = static_cast<Recipe*>(std::calloc(1, sizeof(Recipe) + rest));
  if (!recipe) return false;
  recipe->users = 1;
  recipe->parts = parts;
  recipe->out = std::int64_t(words[1]);
  recipe->viewed = std::int64_t(words[2]);
  recipe->layout = reinterpret_cast<Object*>(words[3]);
  recipe->bytes = words[4];
  recipe->scratch_bytes = words[5];
  recipe->spans = spans;
  recipe->steps = steps;
  recipe->words = heads;
  recipe->misaligned = words[9];
  recipe->apart = words[10];
  std::memcpy(recipe->key(), words + given_words, rest);
  for (std::size_t s = 0; s < steps; ++s)
    if (std::size_t(recipe->step()[s].record[9]) > most_words) return std::free(recipe), false;
  incref(recipe->keep = keep);

  if (self.count >= most_recipes) forget_all(self);
  if (2 * (self.count + 1) > self.capacity) {
    Recipe** larger = static_cast<Recipe**>(std::calloc(2 * self.capacity, sizeof(Recipe*)));
    if (!larger) return leave(recipe), false;
    for (std::size_t k = 0; k < self.capacity; ++k)
      if (Recipe* old = self.table[k]) *place_of(larger, 2 * self.capacity, old->key(), old->parts) = old;
    std::free(self.table);
    self.table = larger;
    self.capacity *= 2;
  }
  Recipe** place = place_of(self.table, self.capacity, recipe->key(), parts);
  if (*place) leave(*place);
  else ++self.count;
  *place = recipe;
  return true;
}

// Whether there is a recipe for a call with these arguments, the last of them by the names.
inline bool has_recipe(Object* object, Object* arguments, Object* names) noexcept {
  const std::size_t count = std::size_t(tuple_size(arguments)), named = std::size_t(tuple_size(names));
  Object* args[most_parts];
  if (count > most_parts) return false;
  for (std::size_t k = 0; k < count; ++k) args[k] = tuple_get(arguments, k);
  return find_recipe(*reinterpret_cast<Recipes*>(object), args, count - named, names) != nullptr;
}

// What an argument of this kind is in a key.
inline std::uint64_t part(Object* argument, bool may_be_scalar) noexcept { return part_of(argument, may_be_scalar); }

// array[subscript] has this layout; keep: a tuple with the layouts of both.
inline bool add_view(Object* array, Object* subscript, Object* layout, Object* keep) noexcept {
  std::uint64_t words[given_words + most_parts] = {}, *parts = words + given_words;
  std::size_t count;
  std::int64_t offset;
  if (!parse_subscript(array, subscript, parts, count, offset)) return false;
  words[0] = count;
  words[1] = words[2] = std::uint64_t(-1);
  words[3] = reinterpret_cast<std::uint64_t>(layout);
  return add_recipe(calling().views, keep, words);
}

inline std::size_t count_recipes(Object* object) noexcept { return reinterpret_cast<Recipes*>(object)->count; }

inline void close_calls() noexcept { calling().closed = true; }

inline const void* const* call_functions() noexcept {
  static const void* const table[] = {
      reinterpret_cast<const void*>(start_calls),   reinterpret_cast<const void*>(new_call),
      reinterpret_cast<const void*>(new_operator),  reinterpret_cast<const void*>(new_subscript),
      reinterpret_cast<const void*>(new_recipes),   reinterpret_cast<const void*>(part),
      reinterpret_cast<const void*>(has_recipe),    reinterpret_cast<const void*>(add_recipe),
      reinterpret_cast<const void*>(add_view),      reinterpret_cast<const void*>(count_recipes),
      reinterpret_cast<const void*>(close_calls)};
  return table;
}

}  // namespace ca::python
